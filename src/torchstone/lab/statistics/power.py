"""Before a study runs: how likely it is to confirm, and how many seeds that takes."""

import math
from bisect import bisect_left

import numpy as np

from torchstone.lab.statistics.observations import LEVEL, Array, checked_count, t_quantile

MOST_SEEDS = 1000
LARGEST_SHIFT = 30.0  # from 37 on, scipy's noncentral t is NaN
QUANTILES = 2000  # of the standard deviation, that a mean is taken over


def power(
    effect: float, sd: float, n: int, *, threshold: float = 0.0, paired: bool = True, level: float = LEVEL
) -> float:
    r"""The chance that a t interval lies above the threshold: that a check says *confirmed*, were the effect real.

    .. math:: \Pr\bigl[ T_{\nu}(\lambda) \ge t_{(1+c)/2,\,\nu} \bigr], \qquad
        \lambda = \frac{\delta - \tau}{\sigma} \sqrt{n} \;\; (\nu = n - 1) \quad \text{or} \quad
        \frac{\delta - \tau}{\sigma} \sqrt{n/2} \;\; (\nu = 2n - 2)

    with :math:`T_\nu(\lambda)` the noncentral t distribution: the first for pairs, the second for two separate samples.

    Args:
        effect: :math:`\delta`, the true mean difference that one hopes for.
        sd: :math:`\sigma`, the standard deviation of the differences; without ``paired``, of either arm.
        n: how many pairs, or seeds in each arm.
        threshold: :math:`\tau`, of the check.
        paired: whether the check takes :func:`~torchstone.lab.statistics.paired_difference` (or the mean of a single
            arm), or :func:`~torchstone.lab.statistics.unpaired_difference`.
        level: the confidence :math:`c` of the interval.

    Returns:
        A probability. One seed has none: its interval is infinite.

    Raises:
        ValueError: a number is not finite, ``sd`` is not positive, or n is no number of seeds.

    Example:
        >>> round(power(0.5, 0.5, n=10), 2)
        0.8

    Paper: Cohen (1988), Statistical power analysis for the behavioral sciences, chapter 2.
    Differs from the paper: measured from the threshold, and confirmed in one direction only; for two separate samples
        the variances are taken as equal, where Welch's interval does not ask for that.
    """
    from scipy.special import nctdtr, ndtr

    distance = _standardised(effect, sd, threshold)
    seeds = checked_count("n", n)
    if seeds == 1:
        return 0.0
    freedom = seeds - 1 if paired else 2 * seeds - 2
    shift = distance * math.sqrt(seeds if paired else seeds / 2)
    if abs(shift) > LARGEST_SHIFT:
        return float(ndtr(shift - _half_widths(freedom, level)).mean())
    return float(1 - nctdtr(freedom, shift, t_quantile(level, freedom)))


def power_near(sd: float, n: int, *, within: float, off: float = 0.0, level: float = LEVEL) -> float:
    r"""The chance that a whole t interval lies within a tolerance of its target: that ``Check.near`` says *confirmed*.

    .. math:: \Pr\bigl[ |\delta + \sigma Z / \sqrt n| + t_{(1+c)/2,\,\nu} \, \sigma W / \sqrt n \le w \bigr],
        \qquad \nu = n - 1

    with :math:`Z` a standard normal variable and :math:`W = \sqrt{\chi^2_\nu / \nu}`; it is the mean over :math:`W` of
    what the normal distribution gives.

    Args:
        sd: :math:`\sigma`, the standard deviation of the observations (of the differences, for pairs).
        n: how many seeds, or pairs.
        within: :math:`w`, the tolerance of the check.
        off: :math:`\delta`, how far the truth lies from the target.
        level: the confidence :math:`c` of the interval.

    Returns:
        A probability. One seed has none: its interval is infinite.

    Raises:
        ValueError: a number is not finite, ``sd`` or ``within`` is not positive, or n is no number of seeds.

    Example:
        >>> round(power_near(0.02, 10, within=0.02), 2), round(power_near(0.02, 20, within=0.02), 2)
        (0.61, 0.98)

    Paper: Phillips (1990), Power of the two one-sided tests procedure in bioequivalence, Journal of Pharmacokinetics
        and Biopharmaceutics 18.
    Differs from the paper: one sample, where Phillips has a crossover of two; both tests at 2.5 %, not 5 %.
    """
    from scipy.special import ndtr

    _check_sd(sd)
    if not (math.isfinite(within) and within > 0 and math.isfinite(off)):
        raise ValueError(f"within must be a positive tolerance and off finite, but within={within} and off={off}.")
    if checked_count("n", n) == 1:
        return 0.0
    error, widths = sd / math.sqrt(n), _half_widths(n - 1, level)
    above, below = (within - off) / error - widths, (within + off) / error - widths
    return float(np.maximum(ndtr(above) - ndtr(-below), 0.0).mean())


def seeds_needed(
    effect: float,
    sd: float,
    *,
    threshold: float = 0.0,
    wanted: float = 0.8,
    paired: bool = True,
    level: float = LEVEL,
    at_most: int = MOST_SEEDS,
) -> int:
    """How many seeds (pairs, or seeds in each arm) an effect needs to be confirmed with probability ``wanted``.

    A study may ask in ``trials``: ``for seed in range(seeds_needed(0.3, 0.2, threshold=0.1))``.

    Args:
        effect: the true mean difference that one hopes for.
        sd: the standard deviation of the differences; without ``paired``, of either arm. Take it from a pilot with
            other seeds.
        threshold: of the check; the effect must lie above it.
        wanted: the :func:`power` to reach, in (0, 1).
        paired: as in :func:`power`.
        level: the confidence of the interval.
        at_most: how many seeds one would run.

    Returns:
        The smallest number of seeds with that power, 2 or more.

    Raises:
        ValueError: no number of seeds up to ``at_most`` reaches it, or a number makes no sense.

    Example:
        >>> seeds_needed(0.5, 0.5), seeds_needed(0.5, 0.5, threshold=0.25), seeds_needed(0.5, 0.5, paired=False)
        (10, 34, 17)

    Paper: Cohen (1988), chapter 2; Colas, Sigaud & Oudeyer (2018), How many random seeds?, arXiv:1806.08295.
    Differs from the paper: as in :func:`power`.
    """
    checked_count("at_most", at_most, 2)
    if not 0 < wanted < 1:
        raise ValueError(f"wanted must be a probability between 0 and 1, such as 0.8, but it is {wanted}.")

    def enough(n: int) -> bool:
        return power(effect, sd, n, threshold=threshold, paired=paired, level=level) >= wanted

    if _standardised(effect, sd, threshold) <= 0:
        raise ValueError(
            f"effect must lie above the threshold, but effect={effect} and threshold={threshold}: "
            "no number of seeds confirms what is not there."
        )
    if not enough(at_most):
        raise ValueError(
            f"An effect of {effect} with sd={sd} and threshold={threshold} needs more than at_most={at_most} seeds for "
            f"the power {wanted}. Lower the threshold, lower the noise, or allow more seeds."
        )
    return bisect_left(range(at_most), True, lo=2, key=enough)


def _standardised(effect: float, sd: float, threshold: float) -> float:
    if not (math.isfinite(effect) and math.isfinite(threshold)):
        raise ValueError(f"effect and threshold must be finite, but effect={effect} and threshold={threshold}.")
    _check_sd(sd)
    return (effect - threshold) / sd


def _half_widths(freedom: float, level: float) -> Array:
    """Half the width of a t interval in true standard errors: quantiles of what it may come to, equally likely."""
    from scipy.special import chdtri

    middles = (np.arange(QUANTILES) + 0.5) / QUANTILES
    widths: Array = t_quantile(level, freedom) * np.sqrt(chdtri(freedom, middles) / freedom)
    return widths


def _check_sd(sd: float) -> None:
    if not (math.isfinite(sd) and sd > 0):
        raise ValueError(f"sd must be a positive standard deviation, but it is {sd}.")
