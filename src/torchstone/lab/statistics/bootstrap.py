"""The bootstrap: an interval for any statistic of a sample, or for the difference of a statistic of two."""

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from torchstone.lab.statistics.observations import (
    LEVEL,
    Array,
    Statistic,
    checked_count,
    checked_level,
    observations,
    pairs,
    t_quantile,
    unknown,
)
from torchstone.lab.verdict import Estimate

LEAST = 10  # with fewer, 95 % intervals of a mean were measured to cover 92.5 to 93.7 %
RESAMPLES = 9999
BATCH = 1000


def bootstrap(
    values: ArrayLike,
    statistic: Statistic = np.mean,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int,
) -> Estimate:
    r"""A statistic of one sample with its bias-corrected and accelerated (BCa) bootstrap interval.

    The interval runs between two quantiles of the statistic over resamples. With :math:`\Phi` the normal distribution,
    :math:`z_0` the bias and :math:`a` the acceleration (the skewness of the jackknife values), they are

    .. math:: \Phi\Bigl(z_0 + \frac{z_0 \mp z}{1 - a (z_0 \mp z)}\Bigr), \qquad z = t_{(1+c)/2,\,n-1} \sqrt{n/(n-1)}

    Args:
        values: the sample, shape (n,), n at least 10: with fewer it covers too little (see below).
        statistic: such as ``np.mean``, ``np.median`` or :func:`~torchstone.lab.statistics.iqm`: called as
            ``statistic(samples, axis=-1)``.
        level: the confidence :math:`c`, in (0, 1).
        resamples: how many resamples are drawn.
        seed: of the generator that draws them.

    Returns:
        The statistic and its interval: of zero width if all resamples agree, of NaN if a value is not finite. Where
        BCa is not defined (the jackknife values agree, or the statistic lies outside of all resamples) the bounds are
        the plain quantiles.

    Raises:
        ValueError: too few values, or not one-dimensional; a ``level`` or a ``resamples`` that makes no sense.

    Measured coverage of 95 % intervals (20,000 normal samples, 999 resamples): of the mean 92.5 % at n = 6, 93.0 % at
    7, 93.7 % at 8, 93.6 % at 9, 94.1 % at 10, 94.2 % at 12, 94.4 % at 20; of the median 94 to 97 % from n = 10 on. Of
    the mean of exponential numbers, as skewed as times are, 92.3 % at n = 10 and 93.5 % at 20. Student's interval of
    the mean of normal numbers covers 95 % at every n.

    Example:
        >>> estimate = bootstrap([3.0, 4.0, 4.0, 5.0, 5.0, 5.0, 6.0, 6.0, 7.0, 19.0], np.median, seed=0)
        >>> estimate.value, estimate.low >= 3.0, estimate.high <= 19.0
        (5.0, True, True)

    Paper: Efron (1987), Better bootstrap confidence intervals, JASA 82; Hesterberg (2015), What teachers should know
        about the bootstrap, arXiv:1411.5279 (the expanded :math:`z`).
    Differs from the paper: Efron's z is the normal quantile, which covers too little: 90 % instead of 95 % at n = 10.
    """
    return _bca([observations("values", values)], statistic, level, resamples, seed, paired=False)


def bootstrap_difference(
    a: ArrayLike,
    b: ArrayLike,
    statistic: Statistic = np.mean,
    *,
    paired: bool,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int,
) -> Estimate:
    r"""The difference :math:`T(a) - T(b)` of a statistic of two samples with its BCa bootstrap interval.

    Args:
        a: the first sample, shape (n,).
        b: the second sample, shape (m,); with ``paired``, m = n, in the same order.
        statistic: :math:`T`, see :func:`bootstrap`.
        paired: draw pairs together (same seed, same fold, same episode), or each sample by itself.
        level: the confidence, in (0, 1).
        resamples: how many resamples are drawn.
        seed: of the generator that draws them.

    Returns:
        The difference and its interval, as in :func:`bootstrap`; its z is that of the smaller sample, which is on the
        safe side: for means of normal samples of 10 and of 10, 20 or 40 it covers 96 %.

    Raises:
        ValueError: a sample is too small or not one-dimensional; pairs of which one half is missing.

    Example:
        >>> a = [0.9, 0.8, 0.9, 1.0, 0.9, 0.8, 0.7, 0.9, 0.8, 1.0]
        >>> b = [0.4, 0.5, 0.4, 0.3, 0.5, 0.2, 0.4, 0.3, 0.5, 0.4]
        >>> bootstrap_difference(a, b, paired=True, seed=0).low > 0.3
        True

    Paper: Efron (1987), Better bootstrap confidence intervals, JASA 82.
    Differs from the paper: as in :func:`bootstrap`.
    """
    samples = pairs(a, b) if paired else (observations("a", a), observations("b", b))
    return _bca(list(samples), statistic, level, resamples, seed, paired)


def expanded_level(level: float, n: int, freedom: float) -> float:
    """The level at which a percentile interval of n observations is as wide as Student's."""
    from scipy.special import ndtr

    return float(1 - 2 * ndtr(-t_quantile(level, freedom) * math.sqrt(n / (n - 1))))


def _bca(samples: list[Array], statistic: Statistic, level: float, resamples: int, seed: int, paired: bool) -> Estimate:
    n = min(map(len, samples))
    checked_level(level)
    checked_count("resamples", resamples, 100)
    if n < LEAST:
        raise ValueError(
            f"A bootstrap interval takes at least {LEAST} observations in each sample, but one has {n}: with fewer it "
            "covers less than it says. Take the t interval (mean_interval, paired_difference, unpaired_difference), or "
            "run more seeds."
        )
    value = float(_effect(statistic)(*samples, axis=-1))
    if not math.isfinite(value) or not all(np.isfinite(sample).all() for sample in samples):
        return unknown(value)
    found = _scipy_bootstrap(samples, statistic, expanded_level(level, n, n - 1), resamples, seed, paired)
    low, high = found.confidence_interval
    if math.isfinite(low) and math.isfinite(high):
        return Estimate(value, low, high)
    tail = (1 - expanded_level(level, n, n - 1)) / 2
    return Estimate(value, *np.quantile(found.bootstrap_distribution, [tail, 1 - tail]))


def _effect(statistic: Statistic) -> Statistic:
    """The statistic of one sample, or its difference between two."""

    def effect(*samples: Array, axis: int) -> Any:
        first, *others = (statistic(sample, axis=axis) for sample in samples)
        return first - others[0] if others else first

    return effect


def _scipy_bootstrap(
    samples: Sequence[Array], statistic: Statistic, level: float, resamples: int, seed: int, paired: bool
) -> Any:
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degenerate resamples, which the caller treats
        return stats.bootstrap(
            samples,
            _effect(statistic),
            n_resamples=resamples,
            batch=BATCH,
            vectorized=True,
            paired=paired,
            axis=-1,
            confidence_level=level,
            method="BCa",
            random_state=np.random.default_rng(seed),
        )
