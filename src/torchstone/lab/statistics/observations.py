"""What the estimates of this package share: how observations are read, and how an interval is made of an error."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from torchstone.lab.verdict import CONFIDENCE, Estimate

LEVEL = CONFIDENCE
_NOT_REAL = {"U": "text", "S": "bytes", "c": "complex numbers"}

Array = NDArray[np.float64]
Statistic = Callable[..., Any]  # statistic(sample, axis=...), as np.mean, np.median and iqm are


def array(name: str, values: ArrayLike) -> Array:
    """``values`` in float64; it must be made of real numbers: text, ``None`` and rows of unequal length are none."""
    try:
        given = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{name} must be an array of numbers, but it cannot be read as one: {error}.") from error
    if given.size and given.dtype.kind not in "biuf":
        found = _NOT_REAL.get(given.dtype.kind, "objects that are no plain numbers")
        raise ValueError(f"{name} must hold real numbers, but it holds {found}. Convert each by float() first.")
    return given.astype(np.float64)


def vector(name: str, values: ArrayLike) -> Array:
    """``values`` in float64; it must be one number per unit."""
    observed = array(name, values)
    if observed.ndim != 1:
        raise ValueError(f"{name} must be one number per unit, of shape (n,), but it has shape {observed.shape}.")
    return observed


def observations(name: str, values: ArrayLike) -> Array:
    """``values`` in float64; it must be one number per unit, of one unit at least."""
    observed = vector(name, values)
    if len(observed) == 0:
        raise ValueError(f"{name} must hold at least one observation, but it is empty: there is nothing to average.")
    return observed


def pairs(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """``a`` and ``b`` in float64; they must be equally many, at least one each."""
    left, right = observations("a", a), observations("b", b)
    if len(left) != len(right):
        raise ValueError(
            f"a and b must be paired, one value of each per pair, but a has {len(left)} and b has {len(right)}. "
            "Give both in the same order, without the pairs of which one half is missing."
        )
    return left, right


def scores(name: str, values: ArrayLike) -> Array:
    """``values`` in float64; it must be a table of runs times tasks."""
    table = array(name, values)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(
            f"{name} must hold one score per run and task, of shape (n, k), but it has shape {table.shape}. "
            "A single task is a table of one column."
        )
    return table


def checked_level(level: float) -> float:
    """``level``; it must be a confidence between 0 and 1."""
    if not 0 < level < 1:
        raise ValueError(f"level must be a confidence between 0 and 1, such as 0.95, but it is {level}.")
    return float(level)


def checked_count(name: str, count: int, least: int = 1) -> int:
    """``count``; it must be a whole number, at least ``least``."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < least:
        raise ValueError(f"{name} must be a whole number, {least} or more, but it is {count!r}.")
    return int(count)


def t_quantile(level: float, freedom: float) -> float:
    """Half the width of Student's interval, in standard errors."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + checked_level(level)) / 2))


def t_interval(value: float, error: float, freedom: float, level: float) -> Estimate:
    """``value`` ± the t quantile times ``error``; infinite without freedom, NaN where a number is not finite."""
    checked_level(level)
    if not (math.isfinite(value) and math.isfinite(error)):
        return unknown(value)
    if freedom <= 0:
        return Estimate(value, -math.inf, math.inf)
    half = t_quantile(level, freedom) * error
    return Estimate(value, value - half, value + half)


def unknown(value: float = math.nan) -> Estimate:
    """A value with no interval: what comes of observations that are not finite. It decides nothing."""
    return Estimate(value, math.nan, math.nan)


@contextmanager
def no_warnings() -> Iterator[None]:
    """Arithmetic on what may not be finite: the result says so itself."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        yield
