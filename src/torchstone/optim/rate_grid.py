"""One grid of learning rates for every rule, searched to its end: no rule is tuned harder than another."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from torchstone.optim.descent import Descent, Maker, descend
from torchstone.optim.surfaces import Surface

LONGEST_STEP = 0.1  # of the box's diagonal, on a surface that paths are to leave


@dataclass(frozen=True)
class Grid:
    """Learning rates, evenly spaced in their logarithm, and the steps after which the best of them is taken.

    The best rate has the lowest f after ``steps`` steps; on a noisy surface, on average over their last quarter, so
    that no rate wins by the luck of one draw. On a surface without minimum, all that lies below the box's
    lowest value counts as that value, and of rates that reach it the quickest out of the box is the best. Rates that
    diverge or leave the box come after all that do not; so do, where leaving it is the aim, rates that jump a tenth of
    its diagonal or more in one step. Among equals the smaller rate wins.

    Args:
        low: the smallest rate.
        high: the largest.
        number: how many there are.
        steps: how long each is tried.

    Raises:
        ValueError: not 0 < low < high, both finite; fewer than 2 rates; fewer than 1 step; or no whole number of them.

    >>> Grid(low=0.01, high=1, number=3).rates
    (0.01, 0.1, 1.0)
    """

    low: float = 1e-4
    high: float = 10.0
    number: int = 25
    steps: int = 100

    def __post_init__(self) -> None:
        if not (0 < self.low < self.high < math.inf):
            raise ValueError(f"low and high must be finite rates with 0 < low < high, but are {self.low}, {self.high}.")
        whole = all(isinstance(count, int) for count in (self.number, self.steps))
        if not whole or self.number < 2 or self.steps < 1:
            raise ValueError(f"At least 2 rates and 1 step are needed, not {self.number!r} and {self.steps!r}.")

    @property
    def rates(self) -> tuple[float, ...]:
        """All of them, the smallest first."""
        growth = (self.high / self.low) ** (1 / (self.number - 1))
        return (*(self.low * growth**place for place in range(self.number - 1)), float(self.high))

    def __str__(self) -> str:
        return f"best of {self.number} rates from {self.low:g} to {self.high:g} after {self.steps} steps"


@dataclass(frozen=True)
class Tuned:
    """The best rate of a grid.

    Attributes:
        rate: the rate.
        edge: "lowest" or "highest" where it is the grid's first or last, so that a better one may lie outside.
        kept: whether its path kept to the grid's conditions; if not, no rate's did.
    """

    rate: float
    edge: str | None
    kept: bool

    def notes(self) -> list[str]:
        """What a reader should know."""
        edge = [] if self.edge is None else [f"the {self.edge} rate of the grid"]
        return edge if self.kept else [*edge, "no rate of the grid keeps to the map"]


def tuned_rates(surface: Surface, makers: Sequence[Maker], grid: Grid, *, seed: int = 0) -> list[Tuned]:
    """The best rate of ``grid`` for each rule; every rate of every rule is tried, all in one descent.

    Args:
        surface: what to tune on, from its start.
        makers: functions ``(params, lr)`` that make the rules' optimizers.
        grid: the rates.
        seed: of the draws of a noisy surface.
    """
    tries = [(make, rate) for make in makers for rate in grid.rates]
    run = descend(surface, tries, grid.steps, seed=seed)
    kept, score = keeps_to_the_map(surface, run), final_values(surface, run)
    keys = zip((~kept).tolist(), run.diverged.tolist(), score.tolist(), run.stopped.tolist(), strict=True)
    ranks = list(keys)
    return [_best(grid, ranks[first : first + grid.number]) for first in range(0, len(ranks), grid.number)]


def keeps_to_the_map(surface: Surface, run: Descent) -> Bool[Tensor, " k"]:
    """Whether each path is one that a map can show: finite, and in the box, or without leaps if it is to leave it."""
    if surface.bounded:
        return ~run.diverged & surface.holds(run.paths).all(1)
    leap = run.paths.diff(dim=1).norm(dim=-1).amax(1)
    no_leap: Tensor = leap < LONGEST_STEP * surface.diagonal
    return no_leap & ~run.diverged


def final_values(surface: Surface, run: Descent) -> Float[Tensor, " k"]:
    """f at the end of each path as the grid counts it: without a minimum, no lower than the lowest value in the box."""
    last = 1 if surface.noisy is None else max(1, run.values.shape[1] // 4)
    final = run.values[:, -last:].mean(1)
    if surface.bounded:
        return final
    (left, right), (bottom, top) = surface.box
    x, y = torch.linspace(left, right, 101), torch.linspace(bottom, top, 101)
    with torch.no_grad():
        return final.clamp(min=float(surface.f(torch.cartesian_prod(x, y).double()).min()))


def check_rate(rate: float, words: str = "The rate") -> float:
    """``rate``, if it is one.

    Raises:
        ValueError: it is not a positive, finite number.
    """
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate < math.inf:
        raise ValueError(f"{words} must be a positive, finite number, but is {rate!r}.")
    return float(rate)


def _best(grid: Grid, ranks: Sequence[tuple[bool, bool, float, int]]) -> Tuned:
    place = min(range(grid.number), key=lambda at: ranks[at])
    edge = {0: "lowest", grid.number - 1: "highest"}.get(place)
    return Tuned(grid.rates[place], edge, kept=not ranks[place][0])
