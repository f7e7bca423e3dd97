"""The decision rule: estimates, checks, and the verdict of the weakest primary check."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class Status(StrEnum):
    """What a check or a study says, weakest last."""

    CONFIRMED = "confirmed"
    WEAKER = "weaker"
    INCONCLUSIVE = "inconclusive"
    ABSENT = "absent"
    OPPOSITE = "opposite"


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval ``[low, high]``.

    Raises:
        ValueError: ``low`` lies above ``high``.
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        for name, number in vars(self).items():
            object.__setattr__(self, name, float(number))  # a tensor or a NumPy scalar could not be recorded
        if self.low > self.high:
            raise ValueError(f"low must not lie above high, but the interval is [{self.low}, {self.high}].")

    @property
    def known(self) -> bool:
        """Whether it can decide anything: the value is finite and no bound is NaN."""
        return math.isfinite(self.value) and not (math.isnan(self.low) or math.isnan(self.high))


def decide(effect: Estimate, threshold: float, zone: float) -> Status:
    r"""The verdict on an effect with interval :math:`[lo, hi]`.

    With threshold :math:`\tau > 0` and equivalence zone :math:`\pm\rho`:

    .. math::
        \text{confirmed: } lo \ge \tau; \quad \text{absent: } -\rho \le lo \text{ and } hi \le \rho; \quad
        \text{weaker: } 0 < lo < \tau; \quad \text{opposite: } hi < 0; \quad \text{else inconclusive}

    The first that holds, in this order: an effect inside the zone is called absent even where it differs from 0.
    NaN decides nothing: a value that is not finite, or a bound that is NaN, is inconclusive whatever else is known.
    """
    if not effect.known:
        return Status.INCONCLUSIVE
    if effect.low >= threshold:
        return Status.CONFIRMED
    if -zone <= effect.low and effect.high <= zone:
        return Status.ABSENT
    if effect.low > 0:
        return Status.WEAKER
    if effect.high < 0:
        return Status.OPPOSITE
    return Status.INCONCLUSIVE


@dataclass(frozen=True)
class Check:
    """One row of a verdict. Made by ``at_least``, ``near`` or ``report``.

    Args:
        name: what was measured, in words.
        estimate: the measurement.
        status: what it says; ``None`` for a row that decides nothing.
        accepts: the least and the greatest value that confirm it; ``None`` for a row that decides nothing.
        primary: whether the study's verdict rests on it.
        reported: the paper's number.
    """

    name: str
    estimate: Estimate
    status: Status | None
    accepts: tuple[float, float] | None
    primary: bool
    reported: float | None = None

    @property
    def rule(self) -> str:
        """What was asked for, in a few signs; empty for a row that decides nothing."""
        if self.accepts is None:
            return ""
        low, high = self.accepts
        return f"≥ {low:.3g}" if math.isinf(high) else f"{(low + high) / 2:.3g} ± {(high - low) / 2:.3g}"

    @classmethod
    def at_least(
        cls,
        name: str,
        estimate: Estimate,
        threshold: float,
        *,
        zone: float,
        chance: float = 0.0,
        primary: bool = True,
        reported: float | None = None,
    ) -> Self:
        """The effect ``estimate − chance`` must reach ``threshold − chance``; inside ``±zone`` it counts as absent.

        Raises:
            ValueError: the threshold does not lie above chance by more than the zone.
        """
        if not 0 <= zone < threshold - chance:
            raise ValueError(
                f"threshold of '{name}' must lie above chance by more than zone, which must not be negative, but "
                f"threshold={threshold}, chance={chance} and zone={zone}. To claim a decrease, give the decrease."
            )
        effect = Estimate(estimate.value - chance, estimate.low - chance, estimate.high - chance)
        status = decide(effect, threshold - chance, zone)
        return cls(name, estimate, status, (threshold, math.inf), primary, reported)

    @classmethod
    def near(
        cls,
        name: str,
        estimate: Estimate,
        target: float,
        *,
        within: float,
        primary: bool = True,
        reported: float | None = None,
    ) -> Self:
        """The whole interval must lie in ``target ± within``; wholly outside it the check says the opposite.

        Raises:
            ValueError: ``within`` is not positive.
        """
        if not within > 0:
            raise ValueError(f"within of '{name}' must be positive, but it is {within}.")
        if not estimate.known:
            status = Status.INCONCLUSIVE
        elif target - within <= estimate.low and estimate.high <= target + within:
            status = Status.CONFIRMED
        elif estimate.high < target - within or estimate.low > target + within:
            status = Status.OPPOSITE
        else:
            status = Status.INCONCLUSIVE
        return cls(name, estimate, status, (target - within, target + within), primary, reported)

    @classmethod
    def report(cls, name: str, estimate: Estimate, *, reported: float | None = None) -> Self:
        """A row that is shown and decides nothing."""
        return cls(name, estimate, None, None, False, reported)


@dataclass(frozen=True)
class Verdict:
    """A study's answer: the status of its weakest primary check, and one sentence for a person.

    It says *confirmed* only if every primary check does (an intersection-union test). So it is no likelier to confirm
    by accident than a single check is, and takes no correction however many there are; see
    :mod:`torchstone.lab.statistics.families` for claims of which *any* of several checks would do.
    """

    status: Status
    sentence: str
    checks: Sequence[Check]

    @classmethod
    def of(cls, *checks: Check, sentence: str) -> Self:
        """The verdict over ``checks``; at least one must be primary."""
        primary = [check.status for check in checks if check.primary and check.status is not None]
        if not primary:
            raise ValueError("A verdict needs at least one primary check; all that came are secondary.")
        return cls(max(primary, key=list(Status).index), sentence, checks)
