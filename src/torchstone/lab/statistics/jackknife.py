"""The jackknife: the interval of any statistic from what it is when each unit in turn is left out."""

import math

from numpy.typing import ArrayLike

from torchstone.lab.statistics.observations import LEVEL, no_warnings, t_interval, vector
from torchstone.lab.verdict import Estimate


def jackknife(value: float, leave_one_out: ArrayLike, *, level: float = LEVEL) -> Estimate:
    r"""A statistic of K units with the t interval of its jackknife standard error.

    .. math::
        \hat\theta \pm t_{(1+c)/2,\,K-1} \; \widehat{se}, \qquad
        \widehat{se}^2 = \frac{K-1}{K} \sum_k (\hat\theta_{(k)} - \bar\theta_{(\cdot)})^2

    Args:
        value: :math:`\hat\theta`, the statistic of all K units.
        leave_one_out: the :math:`\hat\theta_{(k)}`, the statistic without unit k, shape (K,).
            With K < 2 the interval is infinite; equal values give one of zero width.
        level: the confidence :math:`c`, in (0, 1).

    Returns:
        The value and its interval. The value is not corrected for bias.

    Raises:
        ValueError: ``leave_one_out`` is not one-dimensional.

    Example:
        >>> from torchstone.lab.statistics import mean_interval
        >>> jackknife(2.0, [2.5, 2.0, 1.5]) == mean_interval([1.0, 2.0, 3.0])
        True

    Paper: Miller (1974), The jackknife: a review, Biometrika 61, section 2 (Tukey's pseudo-values).
    Differs from the paper: centred on the value itself, not on the mean of the pseudo-values.
    """
    left_out = vector("leave_one_out", leave_one_out)
    count = len(left_out)
    if count < 2:
        return t_interval(float(value), 0.0, 0.0, level)
    with no_warnings():
        squares = float(((left_out - left_out.mean()) ** 2).sum())
    return t_interval(float(value), math.sqrt((count - 1) / count * squares), count - 1, level)
