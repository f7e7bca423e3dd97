"""Two languages that are translated by a grammar: both sides grow from the same root, rule by rule."""

import random
from abc import abstractmethod
from dataclasses import dataclass

from torchstone.programs.memory.tasks.task import END, SEPARATOR, START, Example, Task
from torchstone.programs.memory.tasks.transduction import transduction

TRIES = 100_000

Rule = tuple[float, str, str]
"""A probability, and what a symbol becomes on either side. Capitals grow further; equal numbers grow alike."""
Grammar = dict[str, list[Rule]]


def pairs(left: str, right: str, n: int) -> list[Rule]:
    """n words of a class, each with its translation, all alike probable."""
    return [(1 / n, f"{left}{i}", f"{right}{i}") for i in range(1, n + 1)]


SVO_SOV: Grammar = {
    "A": [(1, "S1 VT2 O3", "S1 O3 VT2")],
    "S": [(1 / 5, "S1 S2", "S1 S2"), (1 / 5, "S1 rpi S2 VT3", "S1 rpo S2 VT3"), (3 / 5, "ST1", "ST1")],
    "O": [(1 / 5, "O1 O2", "O1 O2"), (1 / 5, "S1 rpi S2 VT3", "S1 rpo S2 VT3"), (3 / 5, "OT1", "OT1")],
    "ST": pairs("si", "so", 33),
    "OT": pairs("oi", "oo", 33),
    "VT": pairs("vi", "vo", 33),
}

GENDER: Grammar = {
    "A": [(1, "B1", "B1")],
    "B": [(1 / 4, "B1 or B2", "B1 oder B2"), (1 / 4, "S1 and S2", "S1 und S2"), (1 / 2, "V1", "V1")],
    "V": [(3 / 4, "W1 B2", "W1 B2"), (1 / 4, "W1", "W1")],
    "S": [
        (1 / 6, "the M1", "der M1"),
        (1 / 6, "the F1", "die F1"),
        (1 / 6, "the N1", "das N1"),
        (1 / 6, "a M1", "ein M1"),
        (1 / 6, "a F1", "eine F1"),
        (1 / 6, "a N1", "ein N1"),
    ],
    "W": pairs("we", "wg", 25),
    "M": pairs("em", "gm", 25),
    "F": pairs("ef", "gf", 25),
    "N": pairs("en", "gn", 25),
}


class Node:
    """A symbol that still has to grow, at one place in the source and one in the target."""

    def __init__(self, name: str) -> None:
        self.name = name


Side = list["str | Node"]


def derive(grammar: Grammar, generator: random.Random, longest: int) -> tuple[list[str], list[str]] | None:
    """A random pair of strings from the root A; ``None`` as soon as it is longer than ``longest``."""
    root = Node("A")
    source: Side = [root]
    target: Side = [root]
    while growing := [item for item in source if isinstance(item, Node)]:
        grown = {node: expand(grammar[node.name], grammar, generator) for node in growing}
        source = [new for item in source for new in (grown[item][0] if isinstance(item, Node) else [item])]
        target = [new for item in target for new in (grown[item][1] if isinstance(item, Node) else [item])]
        if len(source) > longest:
            return None
    return [str(word) for word in source], [str(word) for word in target]


def expand(rules: list[Rule], grammar: Grammar, generator: random.Random) -> tuple[Side, Side]:
    """What a symbol becomes by one rule; what has the same name and number on both sides is the same node."""
    ((_, left, right),) = generator.choices(rules, weights=[probability for probability, _, _ in rules])
    nodes = {word: Node(word[:-1]) for word in left.split() if word[:-1] in grammar}
    return [nodes.get(word, word) for word in left.split()], [nodes.get(word, word) for word in right.split()]


@dataclass(frozen=True, kw_only=True)
class GrammarTask(Task):
    """Pairs of strings from a synchronous grammar; those whose length is outside ``lengths`` are drawn again."""

    lengths: tuple[int, int] = (8, 64)

    @property
    @abstractmethod
    def grammar(self) -> Grammar:
        """From the root A."""

    @property
    def words(self) -> tuple[str, ...]:
        """Three marks, and all words of both languages."""
        rules = [rule for rules in self.grammar.values() for rule in rules]
        found = [word for side in (1, 2) for rule in rules for word in str(rule[side]).split()]
        words = [word for word in dict.fromkeys(found) if word[:-1] not in self.grammar]
        return START, SEPARATOR, END, *words

    def example(self, generator: random.Random) -> Example:
        """A source and its translation.

        Raises:
            ValueError: the grammar gives no string of such a length.
        """
        for _ in range(TRIES):
            found = derive(self.grammar, generator, self.lengths[1])
            if found is not None and len(found[0]) >= self.lengths[0]:
                return transduction(*found)
        raise ValueError(f"`lengths` is {self.lengths}, but the grammar hardly gives such strings. Widen the range.")


@dataclass(frozen=True, kw_only=True)
class SvoToSov(GrammarTask):
    """Verbs in the middle of a sentence go to its end: ``si1 vi28 oi5 ||| so1 oo5 vo28``.

    >>> task = SvoToSov(lengths=(3, 6), batch=1)
    >>> " ".join(task.spell(task.at(1).inputs[0]))
    '<s> si26 vi31 oi6 oi2 ||| so26 oo6 oo2 vo31'

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, section 4.2 and table 1a.
    Differs from the paper: nothing.
    """

    @property
    def grammar(self) -> Grammar:
        """Table 1a of the paper."""
        return SVO_SOV


@dataclass(frozen=True, kw_only=True)
class GenderConjugation(GrammarTask):
    """Articles take the gender of the noun that follows: ``the en19 and the em17 ||| das gn19 und der gm17``.

    >>> task = GenderConjugation(lengths=(5, 8), batch=1)
    >>> " ".join(task.spell(task.at(0).inputs[0]))
    '<s> the ef19 and the em2 ||| die gf19 und der gm2'

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, section 4.2 and table 1b.
    Differs from the paper: the printed rule "B -> B1 V1" is read as B -> V1. The paper contradicts itself here. The
        rule as printed fits its prose, sentences of "(NP/(V/NP)) or (NP/V) form", but not its example, which begins
        with a verb (``we11 the en19 and the em17``); three in five derivations would never end, and one in some 500
        would have a length of 65 to 128, of which the paper draws "relatively uniform". With B -> V1 all end, one in
        some 30 has such a length, the example is in the language, and no string is of the form NP V NP.
    """

    @property
    def grammar(self) -> Grammar:
        """Table 1b of the paper, mended."""
        return GENDER
