"""Which setting to try as number k: random points, or scrambled Sobol points.

Each is a pure function of its arguments. So the settings of a search do not depend on how many processes try
them, in which order, or on how often the search was killed and went on.
"""

import hashlib
from collections.abc import Sequence
from typing import Protocol, TypeVar

from torchstone.lab.encoding import to_json
from torchstone.lab.search.ranges import space_of

R = TypeVar("R")
MOST_POINTS = 2**30


class Sampler(Protocol):
    """What gives setting ``k``; ``past`` holds the settings before it with their scores, the greatest the best."""

    def __call__(self, recipe: type[R], past: Sequence[tuple[R, float]] = (), *, seed: int, arm: str, k: int) -> R:
        """The setting, a function of the arguments alone."""


def random_setting(recipe: type[R], past: Sequence[tuple[R, float]] = (), *, seed: int, arm: str, k: int) -> R:
    """Setting ``k`` of a random search: every field is drawn by itself.

    The draw of a field is SHA-256 of (seed, arm, k, field): the same with every version of every library, and
    unchanged when another field joins the recipe.

    Args:
        recipe: a frozen dataclass with ranges.
        past: not looked at.
        seed: the seed of the search.
        arm: whose search it is; two arms get different points.
        k: the number of the setting, from 0.

    Raises:
        TypeError, ValueError: ``recipe`` is no dataclass with ranges, or ``seed`` or ``k`` is no whole number from 0.

    Example:
        >>> from dataclasses import dataclass
        >>> from torchstone.lab.search import log
        >>> @dataclass(frozen=True)
        ... class Recipe:
        ...     lr: float = log(1e-4, 1e-1)
        >>> random_setting(Recipe, seed=0, arm="sgd", k=7) == random_setting(Recipe, seed=0, arm="sgd", k=7)
        True

    Paper: Bergstra & Bengio (2012), Random search for hyper-parameter optimization, JMLR 13.
    Differs from the paper: nothing.
    """
    check_counts(seed, k)
    return _at(recipe, [(whole(seed, arm, k, name) >> 11) / 2**53 for name in space_of(recipe)])


def sobol_setting(recipe: type[R], past: Sequence[tuple[R, float]] = (), *, seed: int, arm: str, k: int) -> R:
    """Setting ``k`` of a search on a scrambled Sobol sequence, which fills the space more evenly than chance.

    The scrambling depends on (seed, arm). The first 2, 4, 8, ... points are balanced: prefer such a number of settings.

    Args:
        recipe: a frozen dataclass with ranges.
        past: not looked at.
        seed: the seed of the search.
        arm: whose search it is; two arms get different points.
        k: the number of the setting, from 0, below 2**30.

    Raises:
        TypeError, ValueError: as for :func:`random_setting`, or ``k`` is too large.

    Example:
        >>> from dataclasses import dataclass
        >>> from torchstone.lab.search import linear
        >>> @dataclass(frozen=True)
        ... class Recipe:
        ...     momentum: float = linear(0.0, 1.0)
        >>> points = [sobol_setting(Recipe, seed=0, arm="sgd", k=k).momentum for k in range(4)]
        >>> sorted(int(4 * point) for point in points)
        [0, 1, 2, 3]

    Paper: Owen (1998), Scrambling Sobol and Niederreiter-Xing points, Journal of Complexity 14.
    Differs from the paper: scrambled by a random linear matrix and a digital shift (``scipy.stats.qmc.Sobol``).
    """
    import numpy as np
    from scipy.stats.qmc import Sobol

    check_counts(seed, k)
    if k >= MOST_POINTS:
        raise ValueError(f"k must be below 2**30, where the Sobol sequence ends, but it is {k}.")
    sequence = Sobol(len(space_of(recipe)), scramble=True, seed=np.random.default_rng(whole(seed, arm)))
    if k:
        sequence.fast_forward(k)
    return _at(recipe, sequence.random(1)[0].tolist())


def whole(*words: str | int) -> int:
    """A whole number of 64 bits, drawn by ``words`` alone."""
    return int.from_bytes(hashlib.sha256(to_json(words).encode()).digest()[:8], "big")


def check_counts(seed: int, k: int) -> None:
    """Refuse what is no whole number from 0."""
    for name, number in (("seed", seed), ("k", k)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise ValueError(f"{name} must be a whole number, 0 or more, but it is {number!r}.")


def _at(recipe: type[R], point: Sequence[float]) -> R:
    space = space_of(recipe)
    return recipe(**{name: span.at(u) for (name, span), u in zip(space.items(), point, strict=True)})
