"""Balanced brackets: which one may close now?"""

import random
from dataclasses import dataclass

from torchstone.programs.memory.inputs import check_size
from torchstone.programs.memory.tasks.task import END, START, Example, Task


@dataclass(frozen=True, kw_only=True)
class Dyck(Task):
    """Balanced brackets of k kinds; after each, the one that may close now is asked for, or the end if none is open.

    Shapes are uniform over all balanced strings of a length, and so are kinds. One kind needs a counter, two a stack.

    Args:
        lengths: of the strings; only even ones occur.
        kinds: k, how many kinds of brackets there are.

    >>> task = Dyck(kinds=2, lengths=(6, 6), batch=1)
    >>> batch = task.at(0)
    >>> " ".join(task.spell(batch.inputs[0])), " ".join(task.spell(batch.targets[0]))
    ('<s> (1 (2 )2 )1 (1 )1', '</s> )1 )2 )1 </s> )1 </s>')

    Paper: Chomsky, Schützenberger 1963, "The algebraic theory of context-free languages", for the languages.
    Differs from the paper: what is asked, and how strings are drawn, are of today.
    """

    lengths: tuple[int, int] = (2, 20)
    kinds: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("kinds", self.kinds)
        if self.lengths[1] // 2 < (self.lengths[0] + 1) // 2:
            raise ValueError(f"`lengths` {self.lengths} has no even number in it, but balanced brackets come in pairs.")

    @property
    def words(self) -> tuple[str, ...]:
        """Two marks, and an opening and a closing bracket of each kind."""
        return START, END, *(f"{side}{kind}" for side in "()" for kind in range(1, self.kinds + 1))

    def example(self, generator: random.Random) -> Example:
        """A balanced string, and what may close after each of its brackets."""
        half = generator.randint((self.lengths[0] + 1) // 2, self.lengths[1] // 2)
        brackets, closers, open_kinds = [], [], []
        for opens in balanced(half, generator):
            if opens:
                open_kinds.append(generator.randint(1, self.kinds))
                brackets.append(f"({open_kinds[-1]}")
            else:
                brackets.append(f"){open_kinds.pop()}")
            closers.append(f"){open_kinds[-1]}" if open_kinds else END)
        return Example([START, *brackets], [END, *closers], [False] + [True] * len(brackets))


def balanced(half: int, generator: random.Random) -> list[bool]:
    """A balanced string of 2 ``half`` brackets, True where one opens; all are alike probable.

    Of all rotations of a random order of n opening and n + 1 closing brackets, exactly one is balanced but for its last
    (the cycle lemma): the one that begins after the deepest point.
    """
    order = [True] * half + [False] * (half + 1)
    generator.shuffle(order)
    depths, depth = [], 0
    for opens in order:
        depth += 1 if opens else -1
        depths.append(depth)
    first = depths.index(min(depths)) + 1
    return (order[first:] + order[:first])[:-1]
