"""Estimates with their 95 % intervals: the mean, the paired difference, the jackknife.

All three give Student's t interval. An interval of one observation is infinite, never of zero width; observations that
are not finite give an interval of NaN. Both make a check say *inconclusive*.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from torchstone.lab.verdict import Estimate

LEVEL = 0.95


def mean_interval(values: Sequence[float]) -> Estimate:
    r"""The mean of independent observations with its t interval.

    .. math:: \bar v \pm t_{0.975,\,n-1} \; \frac{s}{\sqrt n}, \qquad s^2 = \frac{1}{n-1} \sum_i (v_i - \bar v)^2

    Args:
        values: the :math:`v_i`, shape (n,). With n = 1 the interval is infinite; equal values give one of zero width.

    Returns:
        The mean and its 95 % interval, in the unit of ``values``.

    Raises:
        ValueError: ``values`` is empty or not one-dimensional.

    Example:
        >>> estimate = mean_interval([0.9, 1.0, 0.8])
        >>> f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
        '0.90 [0.65, 1.15]'

    Paper: Student (1908), The probable error of a mean, Biometrika 6.
    Differs from the paper: nothing.
    """
    observed = _vector("values", values)
    if len(observed) == 0:
        raise ValueError("values must hold at least one observation, but it is empty: there is nothing to average.")
    with np.errstate(invalid="ignore"):
        mean = float(observed.mean())
        squares = float(((observed - mean) ** 2).sum())
    n = len(observed)
    return _interval(mean, math.sqrt(squares / (n - 1) / n) if n > 1 else 0.0, n)


def paired_difference(a: Sequence[float], b: Sequence[float]) -> Estimate:
    r"""The mean of ``a − b`` over pairs (same seed, same fold, same episode) with its t interval.

    .. math:: \bar d \pm t_{0.975,\,n-1} \; \frac{s_d}{\sqrt n}, \qquad d_i = a_i - b_i

    Args:
        a: the :math:`a_i`, shape (n,).
        b: the :math:`b_i`, shape (n,), in the same order of pairs.

    Returns:
        The mean difference and its 95 % interval; infinite for one pair.

    Raises:
        ValueError: the two have different lengths, are empty, or not one-dimensional.

    Example:
        >>> paired_difference([0.75, 1.0], [0.5, 0.25]).value
        0.5

    Paper: Student (1908), The probable error of a mean, Biometrika 6 (the sleep data).
    Differs from the paper: nothing.
    """
    left, right = _vector("a", a), _vector("b", b)
    if len(left) != len(right):
        raise ValueError(
            f"a and b must be paired, one value of each per pair, but a has {len(left)} and b has {len(right)}. "
            "Give both in the same order, without the pairs of which one half is missing."
        )
    with np.errstate(invalid="ignore"):
        return mean_interval((left - right).tolist())


def jackknife(value: float, leave_one_out: Sequence[float]) -> Estimate:
    r"""A statistic of K units with the t interval of its jackknife standard error.

    .. math::
        \hat\theta \pm t_{0.975,\,K-1} \; \widehat{se}, \qquad
        \widehat{se}^2 = \frac{K-1}{K} \sum_k (\hat\theta_{(k)} - \bar\theta_{(\cdot)})^2

    Args:
        value: :math:`\hat\theta`, the statistic of all K units.
        leave_one_out: the :math:`\hat\theta_{(k)}`, the statistic without unit k, shape (K,).
            With K < 2 the interval is infinite; equal values give one of zero width.

    Returns:
        The value and its 95 % interval. The value is not corrected for bias.

    Raises:
        ValueError: ``leave_one_out`` is not one-dimensional.

    Example:
        >>> jackknife(2.0, [2.5, 2.0, 1.5]) == mean_interval([1.0, 2.0, 3.0])
        True

    Paper: Miller (1974), The jackknife: a review, Biometrika 61, section 2 (Tukey's pseudo-values).
    Differs from the paper: centred on the value itself, not on the mean of the pseudo-values.
    """
    left_out = _vector("leave_one_out", leave_one_out)
    count = len(left_out)
    if count < 2:
        return _interval(float(value), 0.0, count)
    with np.errstate(invalid="ignore"):
        squares = float(((left_out - left_out.mean()) ** 2).sum())
    return _interval(float(value), math.sqrt((count - 1) / count * squares), count)


def _interval(value: float, error: float, count: int) -> Estimate:
    from scipy.special import stdtrit

    if math.isnan(value) or math.isnan(error):
        return Estimate(value, math.nan, math.nan)
    if count < 2:
        return Estimate(value, -math.inf, math.inf)
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * error
    return Estimate(value, value - half, value + half)


def _vector(name: str, values: Sequence[float]) -> NDArray[np.float64]:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError(f"{name} must be one number per unit, of shape (n,), but it has shape {vector.shape}.")
    return vector
