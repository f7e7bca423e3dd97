"""Sequences of symbols to be copied, reversed, or flipped two by two."""

import random
from abc import abstractmethod
from dataclasses import dataclass

from torchstone.programs.memory.inputs import check_size
from torchstone.programs.memory.tasks.task import END, SEPARATOR, START, Example, Task


def transduction(source: list[str], target: list[str]) -> Example:
    """``<s> source ||| target </s>``, to be continued word by word; from the separator on it counts."""
    whole = [START, *source, SEPARATOR, *target, END]
    return Example(whole[:-1], whole[1:], [False] * (len(source) + 1) + [True] * (len(target) + 1))


@dataclass(frozen=True, kw_only=True)
class SymbolTask(Task):
    """Random symbols, and what becomes of them. The lengths are those of the source, without the marks.

    Args:
        symbols: how many different ones there are.
    """

    lengths: tuple[int, int] = (8, 64)
    symbols: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("symbols", self.symbols)

    @property
    def words(self) -> tuple[str, ...]:
        """Three marks, and the symbols."""
        return START, SEPARATOR, END, *(f"a{i}" for i in range(1, self.symbols + 1))

    def example(self, generator: random.Random) -> Example:
        """A source of symbols drawn with replacement, and its target."""
        source = [f"a{generator.randint(1, self.symbols)}" for _ in range(self.length(generator))]
        return transduction(source, self.target(source))

    def length(self, generator: random.Random) -> int:
        """How many symbols come."""
        return generator.randint(*self.lengths)

    @abstractmethod
    def target(self, source: list[str]) -> list[str]:
        """What the source becomes."""


@dataclass(frozen=True, kw_only=True)
class Copy(SymbolTask):
    """First in, first out: ``a1 a2 a3 ||| a1 a2 a3``.

    >>> task = Copy(symbols=4, lengths=(3, 3), batch=1)
    >>> " ".join(task.spell(task.at(0).inputs[0]))
    '<s> a2 a2 a3 ||| a2 a2 a3'

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, section 4.1.
    Differs from the paper: source and target symbols share their words.
    """

    def target(self, source: list[str]) -> list[str]:
        """The same."""
        return list(source)


@dataclass(frozen=True, kw_only=True)
class Reversal(SymbolTask):
    """Last in, first out: ``a1 a2 a3 ||| a3 a2 a1``.

    >>> task = Reversal(symbols=4, lengths=(3, 3), batch=1)
    >>> " ".join(task.spell(task.at(0).inputs[0]))
    '<s> a4 a3 a3 ||| a3 a3 a4'

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, section 4.1.
    Differs from the paper: source and target symbols share their words.
    """

    def target(self, source: list[str]) -> list[str]:
        """The same from the end."""
        return source[::-1]


@dataclass(frozen=True, kw_only=True)
class BigramFlip(SymbolTask):
    """Neighbours change places: ``a1 a2 a3 a4 ||| a2 a1 a4 a3``. Only even lengths occur.

    >>> task = BigramFlip(symbols=4, lengths=(4, 4), batch=1)
    >>> " ".join(task.spell(task.at(0).inputs[0]))
    '<s> a2 a1 a3 a2 ||| a1 a2 a2 a3'

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, section 4.1.
    Differs from the paper: source and target symbols share their words.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lengths[1] // 2 < (self.lengths[0] + 1) // 2:
            raise ValueError(f"`lengths` {self.lengths} has no even number in it, but bigrams need one.")

    def length(self, generator: random.Random) -> int:
        """An even number."""
        return 2 * generator.randint((self.lengths[0] + 1) // 2, self.lengths[1] // 2)

    def target(self, source: list[str]) -> list[str]:
        """Each pair the other way round."""
        return [symbol for i in range(0, len(source), 2) for symbol in (source[i + 1], source[i])]
