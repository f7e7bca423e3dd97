"""Shares: of n cases so many are hits."""

import math

from torchstone.lab.statistics.observations import LEVEL, checked_count, checked_level
from torchstone.lab.verdict import Estimate


def share_interval(hits: int, n: int, *, level: float = LEVEL) -> Estimate:
    r"""The share of hits among n independent cases, with Wilson's interval.

    .. math:: \frac{\hat p + z^2/2n \pm z \sqrt{\hat p (1 - \hat p)/n + z^2/4n^2}}{1 + z^2/n}, \qquad \hat p = h/n

    Unlike a t interval it has a width where all cases are hits, or none.

    Args:
        hits: h, from 0 to n.
        n: how many cases there were; with 0 the share is unknown.
        level: the confidence, in (0, 1); z is the normal quantile that goes with it.

    Returns:
        The share and its interval, of NaN if there was nothing to count.

    Raises:
        ValueError: there are more hits than cases, or fewer than none.

    Example:
        >>> share = share_interval(20, 20)
        >>> f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"
        '1.00 [0.84, 1.00]'

    Paper: Wilson (1927), Probable inference, the law of succession, and statistical inference, JASA 22.
    Differs from the paper: nothing.
    """
    from scipy.stats import binomtest

    checked_count("n", n, 0)
    if checked_count("hits", hits, 0) > n:
        raise ValueError(f"hits must be at most n, but hits={hits} and n={n}.")
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan)
    interval = binomtest(hits, n).proportion_ci(checked_level(level), "wilson")
    return Estimate(hits / n, interval.low, interval.high)


def power_of_share(share: float, n: int, *, threshold: float, level: float = LEVEL) -> float:
    """The chance that :func:`share_interval` lies above the threshold: that a check says *confirmed*.

    Args:
        share: of hits that one hopes for, in [0, 1].
        n: how many cases there will be.
        threshold: of the check.
        level: the confidence of the interval.

    Returns:
        A probability: that of at least the smallest number of hits which is enough.

    Raises:
        ValueError: ``share`` is no probability, or n no number of cases.

    Example:
        >>> power_of_share(1.0, 300, threshold=0.95), power_of_share(1.0, 20, threshold=0.95)
        (1.0, 0.0)
    """
    from scipy.stats import binom

    if not 0 <= share <= 1:
        raise ValueError(f"share must be a probability between 0 and 1, but it is {share}.")
    cases = range(checked_count("n", n) + 1)
    enough = next((hits for hits in cases if share_interval(hits, n, level=level).low >= threshold), n + 1)
    return float(binom.sf(enough - 1, n, share))
