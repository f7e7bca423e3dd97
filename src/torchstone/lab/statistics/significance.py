"""Tests that assume no distribution: permutation, sign, Wilcoxon. One that could never reject is refused, not run."""

import math

import numpy as np
from numpy.typing import ArrayLike

from torchstone.lab.statistics.observations import Array, checked_count, checked_level, observations, pairs

ALPHA = 0.05
RESAMPLES = 9999


def permutation_test(
    a: ArrayLike, b: ArrayLike, *, paired: bool, alpha: float = ALPHA, resamples: int = RESAMPLES, seed: int
) -> float:
    r"""The two-sided p-value of the difference of means, were the labels A and B exchangeable.

    .. math:: p = \min\Bigl(1,\; 2 \min\bigl(\Pr[T \le T_{obs}], \Pr[T \ge T_{obs}]\bigr)\Bigr), \qquad
        T = \bar a - \bar b

    over all ways to exchange labels (within pairs, with ``paired``), or, if there are more of them than ``resamples``,
    over that many random ones, with the observed way counted among them.

    Args:
        a: the first sample, shape (n,).
        b: the second sample, shape (m,); with ``paired``, m = n, in the same order.
        paired: whether a and b are pairs (same seed, same fold, same episode).
        alpha: the level that the test is meant for, in (0, 1).
        resamples: how many exchanges are tried at most.
        seed: of the generator that draws them.

    Returns:
        The p-value in (0, 1]; NaN, which is below no level, if an observation is not finite.

    Raises:
        ValueError: so few observations that even the most extreme outcome has p > ``alpha``.

    Example:
        >>> permutation_test([4.0, 5.0, 6.0, 7.0], [0.0, 1.0, 2.0, 3.0], paired=False, seed=0) == 2 / 70
        True

    Paper: Fisher (1935), The design of experiments, section 21; Phipson & Smyth (2010), arXiv:1603.05766 (why the
        observed way counts among the random ones).
    Differs from the paper: nothing.
    """
    from scipy import stats

    left, right = pairs(a, b) if paired else (observations("a", a), observations("b", b))
    ways = 2 ** len(left) if paired else math.comb(len(left) + len(right), len(left))
    _refuse_if_hopeless("permutation_test", 2 / ways, alpha)
    _refuse_if_hopeless("permutation_test", 2 / (checked_count("resamples", resamples) + 1), alpha)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return math.nan
    found = stats.permutation_test(
        (left - right,) if paired else (left, right),
        _mean if paired else _difference,
        permutation_type="samples" if paired else "independent",
        n_resamples=resamples,
        batch=1000,
        vectorized=True,
        random_state=np.random.default_rng(seed),
    )
    return float(found.pvalue)


def sign_test(a: ArrayLike, b: ArrayLike, *, alpha: float = ALPHA) -> float:
    r"""The two-sided p-value of how many pairs favour A, were each as likely to favour B; ties are dropped.

    .. math:: p = \min\Bigl(1,\; 2 \sum_{i=0}^{\min(w, n-w)} \binom{n}{i} 2^{-n}\Bigr), \qquad w = \#\{a_i > b_i\}

    Args:
        a: the :math:`a_i`, shape (n,).
        b: the :math:`b_i`, shape (n,), in the same order of pairs.
        alpha: the level that the test is meant for, in (0, 1).

    Returns:
        The p-value in (0, 1]; NaN, which is below no level, if an observation is not finite.

    Raises:
        ValueError: so few pairs that even n wins of n have p > ``alpha``: for 0.05, fewer than 6.

    Example:
        >>> sign_test([1.0] * 6, [0.0] * 6)
        0.03125

    Paper: Arbuthnott (1710), An argument for Divine Providence; Dixon & Mood (1946), The statistical
        sign test, JASA 41.
    Differs from the paper: nothing.
    """
    from scipy.special import bdtr

    left, right = pairs(a, b)
    _refuse_if_hopeless("sign_test", 2.0 ** (1 - len(left)), alpha)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return math.nan
    wins, losses = int((left > right).sum()), int((left < right).sum())
    return min(1.0, 2 * float(bdtr(min(wins, losses), wins + losses, 0.5)))


def wilcoxon_test(a: ArrayLike, b: ArrayLike, *, alpha: float = ALPHA) -> float:
    r"""The two-sided p-value of Wilcoxon's signed ranks: exact, with ties too.

    .. math:: p = \min\Bigl(1,\; 2 \min\bigl(\Pr[W \le W_{obs}], \Pr[W \ge W_{obs}]\bigr)\Bigr), \qquad
        W = \sum_{d_i > 0} \operatorname{rank} |d_i|, \quad d_i = a_i - b_i

    over all :math:`2^n` signs of the ranks. Equal :math:`|d_i|` share their mean rank; pairs with :math:`d_i = 0` are
    dropped.

    Args:
        a: the :math:`a_i`, shape (n,).
        b: the :math:`b_i`, shape (n,), in the same order of pairs. Up to a thousand pairs take no time worth mention.
        alpha: the level that the test is meant for, in (0, 1).

    Returns:
        The p-value in (0, 1]; NaN, which is below no level, if an observation is not finite.

    Raises:
        ValueError: so few pairs that even n wins of n have p > ``alpha``: for 0.05, fewer than 6.

    Example:
        >>> wilcoxon_test([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0] * 6)
        0.03125

    Paper: Wilcoxon (1945), Individual comparisons by ranking methods, Biometrics Bulletin 1.
    Differs from the paper: exact for every n and with ties, where the paper has tables for n up to 16.
    """
    left, right = pairs(a, b)
    _refuse_if_hopeless("wilcoxon_test", 2.0 ** (1 - len(left)), alpha)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return math.nan
    differences = (left - right)[left != right]
    doubled = _doubled_ranks(np.abs(differences))
    observed = int(doubled[differences > 0].sum())
    chances = _chances_of_sums(doubled)
    return min(1.0, 2 * float(min(chances[: observed + 1].sum(), chances[observed:].sum())))


def _refuse_if_hopeless(test: str, smallest: float, alpha: float) -> None:
    if smallest > checked_level(alpha):
        raise ValueError(
            f"{test} cannot reach the level {alpha:g} with so little: its smallest p-value here is {smallest:.3g}, "
            "whatever the observations are. Run more seeds (6 pairs, or 4 against 4, reach 0.05), allow more "
            "resamples, or take an interval."
        )


def _mean(differences: Array, axis: int) -> Array:
    mean: Array = differences.mean(axis=axis)
    return mean


def _difference(a: Array, b: Array, axis: int) -> Array:
    difference: Array = a.mean(axis=axis) - b.mean(axis=axis)
    return difference


def _doubled_ranks(sizes: Array) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Twice the rank of each size, a whole number even where ties share a rank."""
    _, place, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (2 * last - counts + 1)[place]


def _chances_of_sums(ranks: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Array:
    """The chance of each sum of the ranks that a fair coin keeps."""
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1.0
    for rank in ranks.tolist():
        chances *= 0.5
        chances[rank:] += chances[: len(chances) - rank].copy()
    return chances
