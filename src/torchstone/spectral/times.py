"""When each frequency was learned, with those that never were kept as what they are: censored."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from torchstone.spectral.signals import Numbers


@dataclass(frozen=True, eq=False)
class Times:
    """The first step at which each frequency was learned to some fraction; made by :func:`time_to_fraction`.

    Args:
        steps: float64, (k,); infinite where the fraction was never reached.
        horizon: the last step that was looked at: what is infinite came later than this, if at all.
    """

    steps: Float[Tensor, " k"]
    horizon: int

    @property
    def reached(self) -> Bool[Tensor, " k"]:
        """Whether each time was seen; the others are censored."""
        return self.steps.isfinite()

    def rank_correlation(self, frequencies: Numbers) -> float:
        r"""Spearman's :math:`\rho` of frequency and time: 1 if each higher frequency takes longer than any lower one.

        What was never reached counts as later than all the rest, and as tied among itself (mid-ranks).

        Args:
            frequencies: of the times, (k,), k at least 2.

        Returns:
            In [-1, 1]; 0 where all times are equal, such as never: then there is no order.

        Raises:
            ValueError: as :func:`rank_correlation`.

        Example:
            >>> never = float("inf")
            >>> round(Times(torch.tensor([75.0, 125.0, never, never]), 1500).rank_correlation([2, 4, 6, 8]), 3)
            0.949
        """
        return rank_correlation(frequencies, self.steps)

    def ratio(self) -> "Ratio":
        """How many times longer the last frequency took than the first.

        Returns:
            The ratio, with the horizon in place of a time that was never seen; ``censored`` says so. A lower bound
            where the last one was never reached, and NaN where the first was not: then nothing is known.

        Example:
            >>> Times(torch.tensor([75.0, 300.0, float("inf")]), 1500).ratio()
            Ratio(value=20.0, censored=True)
        """
        first, last = float(self.steps[0]), float(self.steps[-1])
        if math.isinf(first):
            return Ratio(math.nan, True)
        return Ratio(min(last, self.horizon) / first, math.isinf(last))


@dataclass(frozen=True)
class Ratio:
    """A ratio of two times; ``censored`` where the greater one was never seen, so that ``value`` is a lower bound."""

    value: float
    censored: bool


def rank_correlation(frequencies: Numbers, values: Float[Tensor, " k"]) -> float:
    r"""Spearman's :math:`\rho` of frequency and anything that was measured of each: the correlation of their ranks.

    .. math:: \rho = \mathrm{corr}(\mathrm{rank}(k_i), \mathrm{rank}(v_i)), \qquad \text{ties have their mean rank}

    Args:
        frequencies: the :math:`k_i`, all different, at least 2.
        values: the :math:`v_i`, one for each frequency; infinite ones are tied.

    Returns:
        In [-1, 1]; 0 where all values are equal: then there is no order.

    Raises:
        ValueError: another number of frequencies than of values, fewer than 2, equal ones, or values of NaN.

    Example:
        >>> rank_correlation([1, 2, 3], torch.tensor([0.5, 0.7, 9.0]))
        1.0

    Paper: Spearman (1904), The proof and measurement of association between two things, American Journal of
        Psychology 15.
    Differs from the paper: mid-ranks for ties.
    """
    from scipy.stats import spearmanr

    k = torch.as_tensor(frequencies, dtype=torch.float64)
    if k.shape != values.shape or len(k) < 2 or len(set(k.tolist())) < len(k):
        raise ValueError(
            f"frequencies must be {max(2, len(values))} different numbers, one for each value, but they are "
            f"{k.tolist()}."
        )
    if bool(values.isnan().any()):
        raise ValueError("values must be numbers or infinite, but some are NaN: they have no rank.")
    if bool((values == values[0]).all()):
        return 0.0
    return float(spearmanr(k.numpy(), values.detach().cpu().double().numpy()).statistic)


def time_to_fraction(trace: Float[Tensor, "t k"], steps: Int[Tensor, " t"], fraction: float = 0.5) -> Times:
    r"""The first recorded step at which each frequency had reached a fraction of its amplitude.

    .. math:: t_i = \min \{ t : a_i(t) \ge q \}, \qquad \min \emptyset = \infty

    Args:
        trace: the :math:`a_i(t)`, such as ``FrequencyMonitor.trace``.
        steps: the step of each record, ascending, such as ``FrequencyMonitor.steps``.
        fraction: :math:`q`, positive.

    Returns:
        The times, in steps, each up to one interval between records too late; infinite where never.

    Raises:
        ValueError: no records, NaN in them, steps that do not ascend or are another number, a fraction that is not
            positive.

    Example:
        >>> trace = torch.tensor([[0.2, 0.0], [0.6, 0.1], [0.9, 0.4]])
        >>> time_to_fraction(trace, torch.tensor([25, 50, 75])).steps
        tensor([50., inf], dtype=torch.float64)

    Paper: none; the paper shows heat maps. The "time to half" puts a number on them.
    Differs from the paper: it has no such number.
    """
    if trace.ndim != 2 or not trace.numel() or steps.shape != trace.shape[:1]:
        raise ValueError(
            f"trace must be a table of records and frequencies, (t, k), and steps have one entry for each record, but "
            f"their shapes are {tuple(trace.shape)} and {tuple(steps.shape)}."
        )
    if bool(trace.isnan().any()):
        raise ValueError("trace must hold numbers, but some are NaN: the training diverged, or was not seen.")
    if not bool((steps.diff() > 0).all()):
        raise ValueError(f"steps must ascend, but they are {steps.tolist()}.")
    if not 0 < fraction < math.inf:
        raise ValueError(f"fraction must be positive, such as 0.5, but it is {fraction}.")
    late = torch.where(trace >= fraction, steps[:, None].double(), math.inf)
    return Times(late.amin(0).cpu(), int(steps[-1]))
