"""Languages that count: once the first letters have been seen, all the rest is determined."""

import random
from dataclasses import dataclass
from typing import Literal

from torchstone.programs.memory.tasks.task import END, START, Example, Task

Language = Literal["a^n b^n", "a^n b^n c^n", "a^n b^n c^n d^n", "a^n b^2n", "a^n b^m c^(n+m)"]

RUNS: dict[Language, tuple[tuple[int, int], ...]] = {  # for a, b, ...: how many times n, and how many times m
    "a^n b^n": ((1, 0), (1, 0)),
    "a^n b^n c^n": ((1, 0), (1, 0), (1, 0)),
    "a^n b^n c^n d^n": ((1, 0), (1, 0), (1, 0), (1, 0)),
    "a^n b^2n": ((1, 0), (2, 0)),
    "a^n b^m c^(n+m)": ((1, 0), (0, 1), (1, 1)),
}


@dataclass(frozen=True, kw_only=True)
class Counting(Task):
    """Strings of one of five languages, to be continued letter by letter up to the end.

    It counts from the first letter on after which the rest is determined: the first b; of a^n b^m c^(n+m) the first c.

    Args:
        lengths: the least and the greatest n (and m), both included.
        language: which one.

    Raises:
        ValueError: there is no such language.

    >>> task = Counting(language="a^n b^n")
    >>> string = task.string(3)
    >>> "".join(string.inputs), "".join(string.targets), string.scored.count(True)
    ('<s>aaabbb', 'aaabbb</s>', 3)
    >>> every_length = task.encode([task.string(n) for n in range(1, 61)])     # for the share of lengths that are right

    Paper: Joulin, Mikolov 2015, arXiv:1503.01007, table 2.
    Differs from the paper: each string stands alone and ends with a mark, instead of being followed by the next one; n
        and m are uniform over ``lengths``.
    """

    lengths: tuple[int, int] = (1, 19)
    language: Language = "a^n b^n"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.language not in RUNS:
            raise ValueError(f"`language` must be one of {', '.join(map(repr, RUNS))}, but is {self.language!r}.")

    @property
    def words(self) -> tuple[str, ...]:
        """Two marks, and the letters."""
        return START, END, *"abcd"[: len(RUNS[self.language])]

    def example(self, generator: random.Random) -> Example:
        """The string of a random n, and of a random m where there is one."""
        return self.string(generator.randint(*self.lengths), generator.randint(*self.lengths))

    def string(self, n: int, m: int = 0) -> Example:
        """The string of this n (and m).

        Raises:
            ValueError: n is below 1, or m is where it is needed.
        """
        runs = RUNS[self.language]
        free = 1 + any(times == (0, 1) for times in runs)
        if n < 1 or (m < 1 and free == 2):
            raise ValueError(f"`n` is {n} and `m` {m}, but a string of {self.language} needs at least 1.")
        counts = [by_n * n + by_m * m for by_n, by_m in runs]
        letters = [letter for letter, count in zip("abcd", counts, strict=False) for _ in range(count)]
        unknown = 1 + sum(counts[:free])
        return Example([START, *letters], [*letters, END], [step >= unknown for step in range(len(letters) + 1)])
