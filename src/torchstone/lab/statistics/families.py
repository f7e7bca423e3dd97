"""Several checks at once: when they need a correction, and Holm's.

``Verdict.of`` needs none. It says *confirmed* only if **every** primary check does: an intersection-union test, whose
error is at most that of a single check, however many there are (Berger 1982, Technometrics 24). A correction is due
where **any** of m checks would do: the best of m variants, m secondary checks of which the positive ones are pointed
out. ``Verdict.any_of`` makes it, with intervals; :func:`holm` makes it with p-values.
"""

import numpy as np
from numpy.typing import ArrayLike

from torchstone.lab.statistics.observations import observations


def holm(p_values: ArrayLike) -> list[float]:
    r"""The p-values of a family of m tests, adjusted so that the chance of *any* false alarm stays below the level.

    .. math:: \tilde p_{(i)} = \max_{j \le i} \min\bigl(1, (m - j + 1)\, p_{(j)}\bigr)

    Args:
        p_values: the :math:`p`, shape (m,), of tests that may depend on one another in any way. NaN, the p-value of a
            test with diverged trials, counts as 1: it rejects nothing and makes the family no smaller.

    Returns:
        The adjusted p-values in the order of ``p_values``: reject those at or below the level.

    Raises:
        ValueError: no p-values, or one outside [0, 1].

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    Paper: Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6.
    Differs from the paper: nothing.
    """
    p = np.nan_to_num(observations("p_values", p_values), nan=1.0)
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p_values must lie between 0 and 1, but they are {p.tolist()}.")
    order = np.argsort(p)
    scaled = np.minimum(1.0, np.arange(len(p), 0, -1) * p[order])
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(scaled)
    return [float(each) for each in adjusted]
