"""Student's intervals: a mean, the difference of pairs, the difference of two independent samples."""

import math

from numpy.typing import ArrayLike

from torchstone.lab.statistics.observations import (
    LEVEL,
    Array,
    no_warnings,
    observations,
    pairs,
    t_interval,
    unknown,
)
from torchstone.lab.verdict import Estimate


def mean_interval(values: ArrayLike, *, level: float = LEVEL) -> Estimate:
    r"""The mean of independent observations with its t interval.

    .. math:: \bar v \pm t_{(1+c)/2,\,n-1} \; \frac{s}{\sqrt n}, \qquad s^2 = \frac{1}{n-1} \sum_i (v_i - \bar v)^2

    Args:
        values: the :math:`v_i`, shape (n,). With n = 1 the interval is infinite; equal values give one of zero width.
        level: the confidence :math:`c`, in (0, 1).

    Returns:
        The mean and its interval, in the unit of ``values``; an interval of NaN if one of them is not finite.

    Raises:
        ValueError: ``values`` is empty or not one-dimensional, or ``level`` is no confidence.

    Example:
        >>> estimate = mean_interval([0.9, 1.0, 0.8])
        >>> f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
        '0.90 [0.65, 1.15]'

    Paper: Student (1908), The probable error of a mean, Biometrika 6.
    Differs from the paper: nothing.
    """
    observed = observations("values", values)
    mean, variance = _moments(observed)
    return t_interval(mean, math.sqrt(variance / len(observed)), len(observed) - 1, level)


def paired_difference(a: ArrayLike, b: ArrayLike, *, level: float = LEVEL) -> Estimate:
    r"""The mean of ``a − b`` over pairs (same seed, same fold, same episode) with its t interval.

    .. math:: \bar d \pm t_{(1+c)/2,\,n-1} \; \frac{s_d}{\sqrt n}, \qquad d_i = a_i - b_i

    Args:
        a: the :math:`a_i`, shape (n,).
        b: the :math:`b_i`, shape (n,), in the same order of pairs.
        level: the confidence :math:`c`, in (0, 1).

    Returns:
        The mean difference and its interval; infinite for one pair, of NaN if an observation is not finite.

    Raises:
        ValueError: the two have different lengths, are empty, or not one-dimensional.

    Example:
        >>> paired_difference([0.75, 1.0], [0.5, 0.25]).value
        0.5

    Paper: Student (1908), The probable error of a mean, Biometrika 6 (the sleep data).
    Differs from the paper: nothing.
    """
    left, right = pairs(a, b)
    with no_warnings():
        return mean_interval(left - right, level=level)


def unpaired_difference(a: ArrayLike, b: ArrayLike, *, level: float = LEVEL) -> Estimate:
    r"""The difference of two means of independent samples, with Welch's interval: the variances may differ.

    .. math::
        \bar a - \bar b \pm t_{(1+c)/2,\,\nu} \sqrt{u + w}, \qquad
        u = \frac{s_a^2}{n}, \; w = \frac{s_b^2}{m}, \; \nu = \frac{(u + w)^2}{u^2/(n-1) + w^2/(m-1)}

    Args:
        a: the first sample, shape (n,).
        b: the second sample, shape (m,). If the two are pairs, :func:`paired_difference` sees more.
        level: the confidence :math:`c`, in (0, 1).

    Returns:
        The difference of the means and its interval; infinite if a sample is a single observation.

    Raises:
        ValueError: a sample is empty or not one-dimensional.

    Example:
        >>> estimate = unpaired_difference([0.9, 1.0, 0.8], [0.5, 0.7, 0.3, 0.5])
        >>> f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
        '0.40 [0.14, 0.66]'

    Paper: Welch (1947), The generalization of 'Student's' problem, Biometrika 34.
    Differs from the paper: nothing.
    """
    left, right = observations("a", a), observations("b", b)
    n, m = len(left), len(right)
    (mean_a, variance_a), (mean_b, variance_b) = _moments(left), _moments(right)
    u, w = variance_a / n, variance_b / m
    if not math.isfinite(u + w):
        return unknown(mean_a - mean_b)
    freedom = _welch(u, w, n, m) if min(n, m) > 1 else 0.0
    return t_interval(mean_a - mean_b, math.sqrt(u + w), freedom, level)


def _welch(u: float, w: float, n: int, m: int) -> float:
    """The degrees of freedom, from shares of the variance, whose squares cannot vanish."""
    if u + w == 0:
        return float(n + m - 2)
    share = u / (u + w)
    return 1 / (share**2 / (n - 1) + (1 - share) ** 2 / (m - 1))


def _moments(sample: Array) -> tuple[float, float]:
    """Mean and variance; a single observation has variance 0, and its interval no freedom."""
    with no_warnings():
        mean = float(sample.mean())
        squares = float(((sample - mean) ** 2).sum())
    return mean, squares / max(1, len(sample) - 1)
