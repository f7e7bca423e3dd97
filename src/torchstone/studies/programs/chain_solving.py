"""Three ways to find the bits of a ring: by gradients, by search, and by going around it."""

from torch import Tensor

from torchstone.programs.holes.objective import ALL_PATHS, Branches
from torchstone.studies.programs.chains import Ring, chain, propagated, xor

LR, DRAWS = 0.3, 2
MOST = 100_000
"""Combinations that are searched."""


class CountedError:
    """The squared error, which counts how often it is asked: once for each run of the program."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """The squared error of every bit."""
        self.runs += 1
        return (output - target) ** 2


def combinations(bits: int) -> int:
    """Of the bits that are not known."""
    return 1 << (bits - 1)


def one_succeeds(chance: float, tries: float) -> float:
    """How likely one of so many independent tries succeeds, at least.

    >>> one_succeeds(0.5, 2)
    0.75
    """
    none: float = (1 - chance) ** tries
    return 1 - none


def runs_each_step(branches: Branches, bits: int) -> int:
    """How often the program runs in one step of descent."""
    if branches in ALL_PATHS:
        return combinations(bits)
    return DRAWS if branches == "sample" else 1


def fitted(ring: Ring, branches: Branches, *, runs: int, starts: int, seed: int) -> tuple[list[bool], float]:
    """Which starts solve the ring, first the one from even odds, then the random ones; and the runs that each took."""
    (first, xors), error = ring, CountedError()
    fit = chain(len(xors)).fit(
        [((first,), xors)],
        branches=branches,
        batching="none",
        loss=error,
        steps=runs // runs_each_step(branches, len(xors)),
        restarts=1 + starts,
        lr=LR,
        samples=DRAWS,
        seed=seed,
    )
    return [restart.hardened == 0 for restart in fit.restarts], error.runs / (1 + starts)


def searched(ring: Ring) -> tuple[bool, float]:
    """Whether the best of all combinations solves the ring, and the runs that it took."""
    (first, xors), error = ring, CountedError()
    program = chain(len(xors))
    program.search([((first,), xors)], batching="none", loss=error, most=MOST)
    return program(first).equal(xors), error.runs


def gone_around(ring: Ring) -> tuple[bool, float]:
    """Whether each bit, found from the one before, solves the ring: as much work as one run."""
    bits = propagated(*ring)
    return xor(bits, bits.roll(-1)).equal(ring[1]), 1
