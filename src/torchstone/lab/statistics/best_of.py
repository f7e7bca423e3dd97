"""What a search of a given budget is expected to find: the best result of n trials, as a curve over n."""

import math

import numpy as np
from numpy.typing import ArrayLike

from torchstone.lab.statistics.observations import Array, checked_count, observations


def expected_best(values: ArrayLike, n: int, *, higher_is_better: bool = True, replacement: bool = True) -> float:
    r"""The expected best of n random trials, from the results of N of them.

    .. math::
        \text{with replacement: }
        \sum_{i=1}^{N} v_{(i)} \Bigl[ \bigl(\tfrac iN\bigr)^n - \bigl(\tfrac{i-1}N\bigr)^n \Bigr];
        \qquad \text{without: } \sum_{i=1}^{N} v_{(i)} \binom{i-1}{n-1} \Big/ \binom Nn

    The first, by Dodge et al., is too pessimistic where n comes close to N; the second has no bias, for n up to N.

    Args:
        values: the results :math:`v` of N trials of one search, such as validation accuracies, shape (N,).
        n: the budget, a number of trials from 1 to N: a search says nothing about a larger one.
        higher_is_better: whether the best is the greatest.
        replacement: which of the two.

    Returns:
        The expected best, in the unit of ``values``; NaN if one of them is not finite. A search with diverged trials
        takes :func:`~torchstone.lab.statistics.worst_for_diverged` first.

    Raises:
        ValueError: no values, or n is not a whole number from 1 to N.

    Example:
        >>> expected_best([0.0, 1.0], 1), expected_best([0.0, 1.0], 2), expected_best([0.0, 1.0], 2, replacement=False)
        (0.5, 0.75, 1.0)

    Paper: Dodge, Gururangan, Card, Schwartz & Smith (2019), Show your work, arXiv:1909.03004, section 3; without
        replacement: Tang, Lee, Xin, Liu, Yu & Lin (2020), Showing your work doesn't always work, arXiv:2004.13705.
    Differs from the paper: nothing.
    """
    found = np.sort(observations("values", values))
    if checked_count("n", n) > len(found):
        raise ValueError(
            f"n must be a budget of at most the {len(found)} trials that values holds, but it is {n}: "
            "the best of more trials than were run is anybody's guess."
        )
    if not np.isfinite(found).all():
        return math.nan
    ordered = found if higher_is_better else found[::-1]
    chances = _chances_with(len(found), n) if replacement else _chances_without(len(found), n)
    return float(ordered @ chances)


def _chances_with(count: int, n: int) -> Array:
    """How likely each of ``count`` results, the worst first, is the best of n draws with replacement."""
    return np.diff((np.arange(count + 1) / count) ** n)


def _chances_without(count: int, n: int) -> Array:
    """The same for n draws without replacement."""
    return np.array([math.comb(i, n - 1) / math.comb(count, n) for i in range(count)])
