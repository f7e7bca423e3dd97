"""The decision rule: estimates, checks, and the verdict of the weakest primary check, or of any of several."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

CONFIDENCE = 0.95  # of the interval of an estimate


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

    Made by :meth:`of` for claims that hold if *every* primary check does, and by :meth:`any_of` for claims that hold if
    *at least one* does.
    """

    status: Status
    sentence: str
    checks: Sequence[Check]

    @classmethod
    def of(cls, *checks: Check, sentence: str) -> Self:
        """The verdict over ``checks``, that of the weakest; at least one must be primary.

        It says *confirmed* only if every primary check does (an intersection-union test). So it is no likelier to
        confirm by accident than a single check is, and takes no correction however many there are.
        """
        return cls(max(_primary(checks), key=list(Status).index), sentence, checks)

    @classmethod
    def any_of(cls, checks_at: Callable[[float], Sequence[Check]], *, sentence: str) -> Self:
        r"""The verdict on a claim of which any of several primary checks would do: that of the strongest.

        The more checks there are, the likelier one of them confirms by accident. So Holm's correction makes their
        intervals wider: the confidence of m checks is :math:`1 - 0.05/m`; if k of them confirm at that, the others are
        looked at once more at :math:`1 - 0.05/(m - k)`, and so on. However many there are, the chance that any confirms
        an effect that is not there is at most that of a single check. Each row shows the interval that decided.

        Args:
            checks_at: gives the checks with intervals of the confidence that it is called with.
            sentence: for a person.

        Returns:
            The verdict: *confirmed* if at least one primary check confirms, else the strongest of what they say.

        Raises:
            ValueError: none of the checks is primary.

        Example:
            >>> from torchstone.lab.statistics import mean_interval
            >>> gains = {"flips": [0.05, 0.06, 0.07, 0.05], "crops": [0.03, -0.02, 0.01, 0.02]}
            >>> def checks_at(level):
            ...     return [
            ...         Check.at_least(name, mean_interval(gain, level=level), 0.02, zone=0.01)
            ...         for name, gain in gains.items()
            ...     ]
            >>> verdict = Verdict.any_of(checks_at, sentence="Flips help.")
            >>> for check in verdict.checks:
            ...     print(check.name, check.status.value)
            flips (any of 2 would do, 95 % interval) confirmed
            crops (any of 2 would do, 95 % interval) inconclusive

        Paper: Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of
            Statistics 6.
        Differs from the paper: told by intervals, whose bounds lie beyond the threshold where a one-sided p-value is
            below 2.5 % over the number of checks.
        """
        checks = _after_holm(checks_at)
        return cls(min(_primary(checks), key=list(Status).index), sentence, checks)


def _after_holm(checks_at: Callable[[float], Sequence[Check]]) -> list[Check]:
    """The checks at the confidence that Holm's procedure ends with; the primary ones say which that is."""
    family, confirmed = len(_primary(checks_at(CONFIDENCE))), 0
    while True:
        level = 1 - (1 - CONFIDENCE) / (family - confirmed)
        checks = checks_at(level)
        now = _primary(checks).count(Status.CONFIRMED)
        if now <= confirmed or now == family:
            words = f"any of {family} would do, {100 * level:.3g} % interval"
            return [replace(check, name=f"{check.name} ({words})") if check.primary else check for check in checks]
        confirmed = now


def _primary(checks: Sequence[Check]) -> list[Status]:
    primary = [check.status for check in checks if check.primary and check.status is not None]
    if not primary:
        raise ValueError("A verdict needs at least one primary check; all that came are secondary.")
    return primary
