"""Learning rules raced down a surface: equal clocks, equally tuned learning rates, paths as an array."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from torchstone.optim.create import create, rule_of
from torchstone.optim.descent import Maker, descend
from torchstone.optim.rate_grid import Grid, Tuned, check_rate, tuned_rates
from torchstone.optim.surfaces import Surface

Optimizers = Sequence[str] | Mapping[str, Callable[[list[Tensor], float], Optimizer] | str]
NOISE_OF_THE_RACE = 1_000_003  # added to the seed, so that a noisy surface is not raced on the draws of the tuning


@dataclass(frozen=True, eq=False)
class Race:
    """Where each rule went, step by step.

    Attributes:
        surface: what they went down.
        rules: names, one a row of the arrays.
        paths: float64, (rules, steps + 1, 2); step 0 is the start.
        values: float64, (rules, steps + 1), f at these points (of a noisy surface too, not of its draws).
        rates: the learning rates.
        tuned: how each rate was found; None where it was given.
        stopped: the step from which a path stands still for good, since its rule had left a surface without minimum
            or had diverged; None for one that went on to the end.
        diverged: whether a path ends at the last point that was finite, with a finite value.
        grid: what the rates were tuned on; None where they were given.
    """

    surface: Surface
    rules: tuple[str, ...]
    paths: np.ndarray
    values: np.ndarray
    rates: tuple[float, ...]
    tuned: tuple[Tuned | None, ...]
    stopped: tuple[int | None, ...]
    diverged: tuple[bool, ...]
    grid: Grid | None

    @property
    def steps(self) -> int:
        """t, how many steps each rule took."""
        return len(self.values[0]) - 1

    @property
    def left(self) -> tuple[int | None, ...]:
        """The first step at which each path was outside the box; None for one that never was."""
        inside = self.surface.holds(torch.from_numpy(self.paths)).numpy()
        return tuple(_first(~row) for row in inside)

    def steps_to(self, target: float) -> tuple[int | None, ...]:
        """The first step at which f is within ``target`` of its minimum, one a rule; None for one that never is.

        Raises:
            ValueError: the surface's minima are not known, or target is not positive.
        """
        if self.surface.lowest is None:
            raise ValueError(f"The minima of '{self.surface.name}' are not known: give them to Surface(minima=...).")
        if not target > 0:
            raise ValueError(f"target must be positive, but is {target}.")
        return tuple(_first(row <= self.surface.lowest + target) for row in self.values)

    def notes(self, rule: str) -> list[str]:
        """What a reader of ``rule``'s path should know: where it left, diverged, or met the edge of the grid."""
        row = self.rules.index(rule)
        stopped, left, tuned, notes = self.stopped[row], self.left[row], self.tuned[row], []
        if left is not None and self.surface.bounded:
            notes.append(f"left the box at step {left}")
        if stopped is not None:
            notes.append(f"{'diverged' if self.diverged[row] else 'escaped'} at step {stopped}")
        return notes + (tuned.notes() if tuned else [])

    def animate(self, path: str | Path) -> Path:
        """Draw the race into a file: see :func:`torchstone.optim.animate`."""
        from torchstone.optim.animation import animate

        return animate(self, path)


def race(
    surface: Surface,
    optimizers: Optimizers,
    *,
    steps: int = 500,
    tune: Grid | float | Mapping[str, float] = Grid(),  # noqa: B008  # frozen
    seed: int = 0,
) -> Race:
    """Let learning rules go down a surface from its start, all with one clock and equally tuned learning rates.

    The rate of every rule is the best of one grid, the same for all rules and searched to its end (:class:`Grid`). A
    path that diverges stays at its last finite point; on a surface without minimum a path ends at its first point
    outside the box. Both are on record in the result.

    Args:
        surface: one of ``SURFACES``, or your own.
        optimizers: names for :func:`torchstone.optim.create`, or a mapping from names of your own to such names or to
            functions ``(params, lr)`` that make an optimizer.
        steps: t, how many steps each takes.
        tune: the grid; or one rate for all rules; or a rate for each.
        seed: of the draws of a noisy surface. Elsewhere nothing is drawn.

    Returns:
        The paths in float64, with all that was found out on the way.

    Raises:
        ValueError: there is no such rule, no rule at all or one twice; steps < 1, seed < 0, or either is no whole
            number; or a rate is not positive.
        TypeError: the surface is none; a rule is neither a name nor a function; or a function of yours made something
            else than an optimizer that takes one gradient a step.

    Example:
        >>> from torchstone.optim import SURFACES
        >>> result = race(SURFACES["booth"], ["sgd", "momentum"], steps=200)
        >>> result.paths.shape, result.steps_to(1e-3)
        ((2, 201, 2), (31, 101))

    Paper: Radford's animations of 2014 are the ancestor; no equation.
    Differs from the paper: the learning rates are tuned, alike for all rules, and shown.
    """
    if not isinstance(surface, Surface):
        raise TypeError(f"surface must be a Surface, such as SURFACES['beale'], but is {surface!r}.")
    _check_whole("steps", steps, 1)
    _check_whole("seed", seed, 0)
    makers = makers_of(optimizers)
    tuned = _rates(surface, makers, tune, seed)
    rates = [found.rate if isinstance(found, Tuned) else found for found in tuned]
    run = descend(surface, list(zip(makers.values(), rates, strict=True)), steps, seed=seed + NOISE_OF_THE_RACE)
    return Race(
        surface,
        tuple(makers),
        run.paths.numpy(),
        run.values.numpy(),
        tuple(rates),
        tuple(found if isinstance(found, Tuned) else None for found in tuned),
        tuple(step if step <= steps else None for step in run.stopped.tolist()),
        tuple(run.diverged.tolist()),
        tune if isinstance(tune, Grid) else None,
    )


def makers_of(optimizers: Optimizers) -> dict[str, Maker]:
    """The function that makes each rule's optimizer, by the rule's name.

    Raises:
        ValueError: there is no such rule, no rule at all, or one twice.
        TypeError: a rule is neither a name nor, in a mapping, a function.
    """
    if isinstance(optimizers, str):
        raise ValueError(f"optimizers must be a list of rules, such as [{optimizers!r}], but is {optimizers!r}.")
    if not optimizers or len(set(optimizers)) < len(optimizers):
        raise ValueError(f"optimizers must name one rule or more, each once, but is {list(optimizers)}.")
    named = optimizers if isinstance(optimizers, Mapping) else {name: name for name in optimizers}
    return {name: _maker(name, rule) for name, rule in named.items()}


def _maker(name: object, rule: Maker | str) -> Maker:
    if not isinstance(name, str) or not (isinstance(rule, str) or callable(rule)):
        raise TypeError(
            f"optimizers must be a list of names, or a mapping from names to names or functions (params, lr), but has "
            f"{name!r} with {rule!r}."
        )
    if not isinstance(rule, str):
        return rule
    rule_of(rule)
    return partial(_create, rule)


def _create(rule: str, params: list[Tensor], lr: float) -> Optimizer:
    return create(rule, params, lr=lr)


def _rates(
    surface: Surface, makers: Mapping[str, Maker], tune: Grid | float | Mapping[str, float], seed: int
) -> Sequence[Tuned | float]:
    if isinstance(tune, Grid):
        return tuned_rates(surface, list(makers.values()), tune, seed=seed)
    given = tune if isinstance(tune, Mapping) else dict.fromkeys(makers, tune)
    if given.keys() != makers.keys():
        raise ValueError(f"tune must give a rate to each of {', '.join(makers)}, but has {', '.join(given)}.")
    return [check_rate(given[name], f"The rate of {name}") for name in makers]


def _check_whole(name: str, number: object, low: int, high: int = 2**62) -> None:
    if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
        raise ValueError(f"{name} must be a whole number of at least {low} and at most {high}, but is {number!r}.")


def _first(hits: np.ndarray) -> int | None:
    return int(hits.argmax()) if hits.any() else None
