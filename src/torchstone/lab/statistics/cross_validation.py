"""Differences over splits of one data set: they share examples, so the plain t interval is far too narrow."""

import math

from numpy.typing import ArrayLike

from torchstone.lab.statistics.observations import LEVEL, checked_count, no_warnings, pairs, t_interval
from torchstone.lab.verdict import Estimate


def resampled_difference(a: ArrayLike, b: ArrayLike, *, train: int, test: int, level: float = LEVEL) -> Estimate:
    r"""The mean of ``a − b`` over random splits or folds of one data set, with the corrected resampled t interval.

    .. math:: \bar d \pm t_{(1+c)/2,\,n-1} \; s_d \sqrt{\frac1n + \frac{n_{test}}{n_{train}}}, \qquad d_i = a_i - b_i

    However many splits there are, the interval stays as wide as one data set makes it.

    Args:
        a: the :math:`a_i`, one result for each split, shape (n,).
        b: the :math:`b_i`, of the same splits in the same order, shape (n,).
        train: :math:`n_{train}`, how many examples each split trains on.
        test: :math:`n_{test}`, how many examples each split tests on.
        level: the confidence :math:`c`, in (0, 1).

    Returns:
        The mean difference and its interval; infinite for one split.

    Raises:
        ValueError: the two have different lengths, are empty, or a size is not positive.

    Example:
        >>> estimate = resampled_difference([0.9, 0.8, 0.9], [0.7, 0.7, 0.6], train=90, test=10)
        >>> f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
        '0.20 [-0.09, 0.49]'

    Paper: Nadeau & Bengio (2003), Inference for the generalization error, Machine Learning 52 (the
        corrected resampled t-test).
    Differs from the paper: nothing.
    """
    left, right = pairs(a, b)
    checked_count("train", train)
    checked_count("test", test)
    n = len(left)
    with no_warnings():
        differences = left - right
        mean = float(differences.mean())
        variance = float(((differences - mean) ** 2).sum()) / max(1, n - 1)
    return t_interval(mean, math.sqrt(variance * (1 / n + test / train)), n - 1, level)
