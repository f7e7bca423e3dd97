"""A few runs on many tasks: the interquartile mean, the stratified bootstrap, the probability of improvement."""

import math

import numpy as np
from numpy.typing import ArrayLike

from torchstone.lab.statistics.bootstrap import BATCH, RESAMPLES, expanded_level
from torchstone.lab.statistics.observations import (
    LEVEL,
    Array,
    Statistic,
    array,
    checked_count,
    checked_level,
    scores,
    t_quantile,
    unknown,
)
from torchstone.lab.verdict import Estimate

LEAST_RUNS = 3
LEAST_FREEDOM = 9  # with less, 95 % intervals of a mean were measured to cover 92 to 93.7 %; from here on 94 %


def iqm(values: ArrayLike, axis: int | tuple[int, ...] | None = None) -> "Array | np.float64":
    r"""The interquartile mean: the mean of what is left without the lowest and the highest quarter.

    .. math:: \frac{1}{N - 2q} \sum_{i=q+1}^{N-q} v_{(i)}, \qquad q = \lfloor N/4 \rfloor

    Less moved by outliers than the mean, and better known than the median after few runs.

    Args:
        values: the :math:`v`, such as scores of runs times tasks, of any shape.
        axis: over what; ``None`` over all.

    Returns:
        The mean of the middle, without the axes that it runs over; NaN where a value is NaN.

    Example:
        >>> float(iqm([0.0, 1.0, 2.0, 100.0]))
        1.5

    Paper: Agarwal, Schwarzer, Castro, Courville & Bellemare (2021), Deep reinforcement learning at the edge of the
        statistical precipice, arXiv:2108.13264, section 4.3.
    Differs from the paper: nothing.
    """
    numbers = array("values", values)
    axes = tuple(range(numbers.ndim)) if axis is None else np.atleast_1d(axis)
    kept = np.moveaxis(numbers, axes, range(-len(axes), 0))
    kept = np.sort(kept.reshape(*kept.shape[: kept.ndim - len(axes)], -1), axis=-1)
    count = kept.shape[-1]
    if count == 0:
        raise ValueError("values must hold at least one score, but it is empty: there is nothing to average.")
    middle = kept[..., count // 4 : count - count // 4].mean(-1)
    return np.where(np.isnan(kept[..., -1]), np.nan, middle)[()]  # sorting puts NaN last


def stratified_bootstrap(
    values: ArrayLike,
    statistic: Statistic = iqm,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int,
) -> Estimate:
    r"""A statistic of runs times tasks with its percentile interval; runs are drawn anew within each task.

    Each resample takes, for each of the k tasks, n of its n runs with replacement. The interval runs between the
    quantiles :math:`\Phi(\mp z)` of the statistic over resamples, :math:`z = t_{(1+c)/2,\,k(n-1)} \sqrt{n/(n-1)}`.

    Args:
        values: the scores, n runs times k tasks, shape (n, k). Normalise them so that tasks can be compared.
        statistic: such as :func:`iqm`, ``np.mean``, ``np.median``: called as ``statistic(resamples, axis=(-2, -1))``.
        level: the confidence :math:`c`, in (0, 1).
        resamples: how many resamples are drawn.
        seed: of the generator that draws them.

    Returns:
        The statistic and its interval: it speaks of new runs on these tasks, not of new tasks; of NaN if a score is
        not finite.

    Raises:
        ValueError: ``values`` is no table, holds fewer than 3 runs, or k (n − 1) < 9; ``level`` or ``resamples`` make
            no sense.

    Example:
        >>> runs = [[0.1, 0.5, 0.9], [0.2, 0.6, 0.7], [0.3, 0.4, 0.8], [0.2, 0.5, 0.8]]
        >>> estimate = stratified_bootstrap(runs, seed=0)
        >>> f"{estimate.value:.2f}", estimate.low < 0.5 < estimate.high
        ('0.50', True)

    Paper: Agarwal et al. (2021), arXiv:2108.13264, section 4.1.
    Differs from the paper: the paper's z is the normal quantile, too narrow for few runs.
    """
    table = scores("values", values)
    n, k = table.shape
    checked_level(level)
    checked_count("resamples", resamples, 100)
    if n < LEAST_RUNS or k * (n - 1) < LEAST_FREEDOM:
        raise ValueError(
            f"values must hold at least {LEAST_RUNS} runs, and {LEAST_FREEDOM + 1} of a single task, but it holds {n} "
            f"runs of {k} tasks: the interval would cover less than it says. Take the t interval of each run's mean "
            "over tasks (mean_interval), or run more seeds."
        )
    value = float(statistic(table, axis=(-2, -1)))
    if not (math.isfinite(value) and np.isfinite(table).all()):
        return unknown(value)
    tail = (1 - expanded_level(level, n, k * (n - 1))) / 2
    found = _resampled(table, statistic, resamples, np.random.default_rng(seed))
    return Estimate(value, *np.quantile(found, [tail, 1 - tail]))


def probability_of_improvement(a: ArrayLike, b: ArrayLike, *, level: float = LEVEL) -> Estimate:
    r"""How likely a run of A is better than a run of B on the same task, the mean over tasks; ties count half.

    .. math:: P = \frac{1}{k n m} \sum_{j=1}^k \sum_{i,l} [a_{ij} > b_{lj}] + \tfrac12 [a_{ij} = b_{lj}]

    The interval holds every :math:`\theta` with :math:`(P - \theta)^2 \le t^2\, V(\theta)/k`, where
    :math:`t = t_{(1+c)/2,\,k(n+m-2)}` and, with :math:`N = (n+m)/2 - 1`,

    .. math:: V(\theta) = \frac{\theta(1-\theta)}{nm}
        \Bigl[ 1 + N \Bigl( \frac{1-\theta}{2-\theta} + \frac{\theta}{1+\theta} \Bigr) \Bigr]

    Args:
        a: scores of A, n runs times k tasks, shape (n, k); higher is better.
        b: scores of B, m runs times the same k tasks, shape (m, k).
        level: the confidence :math:`c`, in (0, 1).

    Returns:
        The probability in [0, 1] (0.5: no difference) and its interval, which has a width even where every run of A is
        better; with few runs it covers more than it says (97 % at 3 runs of 5 tasks). An interval of [0, 1] where
        both have one run; of NaN if a score is not finite.

    Raises:
        ValueError: a table is none, or the two have different tasks.

    Example:
        >>> estimate = probability_of_improvement([[3.0], [4.0], [5.0]], [[1.0], [2.0], [4.0]])
        >>> f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
        '0.83 [0.24, 0.99]'

    Paper: Agarwal et al. (2021), arXiv:2108.13264, section 4.3; Newcombe (2006), Confidence intervals for an effect
        size measure based on the Mann-Whitney statistic, part 2, Statistics in Medicine 25, method 5.
    Differs from the paper: Agarwal et al. bootstrap, which gives an interval of zero width where all runs of A win;
        Newcombe has one task and the normal quantile.
    """
    left, right = scores("a", a), scores("b", b)
    (n, k), (m, tasks) = left.shape, right.shape
    if k != tasks:
        raise ValueError(f"a and b must be scores on the same tasks, but a has {k} columns and b has {tasks}.")
    checked_level(level)
    if not (np.isfinite(left).all() and np.isfinite(right).all()):
        return unknown()
    higher = left[:, None] > right[None]
    value = float((higher + 0.5 * (left[:, None] == right[None])).mean())
    freedom = k * (n + m - 2)
    if freedom == 0:
        return Estimate(value, 0.0, 1.0)
    factor = t_quantile(level, freedom) / math.sqrt(k * n * m)
    above = _edge(value, factor, (n + m) / 2 - 1)
    return Estimate(value, 1 - _edge(1 - value, factor, (n + m) / 2 - 1), above)


def _resampled(table: Array, statistic: Statistic, resamples: int, generator: np.random.Generator) -> Array:
    """The statistic of each resample, a batch at a time."""
    n, k = table.shape
    parts = []
    for start in range(0, resamples, BATCH):
        drawn = generator.integers(n, size=(min(BATCH, resamples - start), n, k))
        parts.append(statistic(table[drawn, np.arange(k)], axis=(-2, -1)))
    return np.concatenate(parts)


def _edge(value: float, factor: float, weight: float) -> float:
    """The largest probability that is no further from ``value`` than its own standard error times the quantile."""
    from scipy.optimize import brentq

    def excess(theta: float) -> float:
        spread = 1 + weight * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return theta - value - factor * math.sqrt(theta * (1 - theta) * spread)

    return 1.0 if value == 1 else float(brentq(excess, max(value, 1e-12), 1.0))
