"""Diverged trials in a comparison: the stated rule that counts them against their arm."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from torchstone.lab.statistics.observations import Array, vector


def worst_for_diverged(
    arms: Mapping[str, ArrayLike], *, higher_is_better: bool = True, worst: float | None = None
) -> dict[str, list[float]]:
    r"""The results of a comparison, each that is not finite replaced by the worst: a diverged trial counts as that.

    .. math:: v \leftarrow \min\bigl(\{w\} \cup \{\text{all finite results of all arms}\}\bigr)

    Without this, NaN makes every interval that it enters NaN, and every check on it *inconclusive*. Call it in
    ``judge`` where the claim is about methods that may diverge; that is written before the results are seen.

    Args:
        arms: the results of each arm, in the unit that the check is about; in a paired comparison, in the order of
            pairs. NaN and infinities of either sign have diverged.
        higher_is_better: whether the worst is the smallest; else it is the greatest, and min in the formula is max.
        worst: :math:`w`, what a model that learned nothing would get, such as the accuracy of chance. Without it an arm
            that has no finite result at all stays NaN: how bad it was, nobody knows.

    Returns:
        The results of each arm by name, in their order.

    Raises:
        ValueError: ``worst`` is not finite, or an arm is not one-dimensional.

    Example:
        >>> worst_for_diverged({"ours": [0.9, float("nan")], "theirs": [0.7, 0.8]})
        {'ours': [0.9, 0.7], 'theirs': [0.7, 0.8]}
        >>> worst_for_diverged({"ours": [0.9, float("nan")], "theirs": [0.7, 0.8]}, worst=0.1)
        {'ours': [0.9, 0.1], 'theirs': [0.7, 0.8]}

    Paper: none; the practice of trials with deaths (Lachin 1999, Worst-rank score analysis, Controlled Clinical Trials
        20).
    Differs from the paper: a value, where Lachin gives a rank.
    """
    if worst is not None and not math.isfinite(worst):
        raise ValueError(f"worst must be a finite result, such as the accuracy of chance, but it is {worst}.")
    results = {name: vector(name, values) for name, values in arms.items()}
    finite = [float(value) for values in results.values() for value in values[np.isfinite(values)]]
    candidates = finite if worst is None else [*finite, float(worst)]
    filler = (min if higher_is_better else max)(candidates, default=math.nan)
    return {name: _filled(values, filler, lost=worst is None) for name, values in results.items()}


def _filled(values: Array, filler: float, *, lost: bool) -> list[float]:
    """``values`` with ``filler`` for what is not finite; all NaN where nothing is finite and that is ``lost``."""
    finite = np.isfinite(values)
    if lost and not finite.any():
        return [math.nan] * len(values)
    filled: list[float] = np.where(finite, values, filler).tolist()
    return filled
