"""Interval bars: a check's estimate, its interval, what was asked for and the paper's number on one small axis."""

import math
import re
from dataclasses import dataclass

from torchstone.lab.verdict import Check
from torchstone.lab.wording import measured, paper_number

_AT_LEAST = re.compile(r"≥ (\S+)")
_NEAR = re.compile(r"(\S+) ± (\S+)")


def accepted(check: Check) -> tuple[float, float] | None:
    """The values that confirm ``check``, read from its rule; ``None`` for a check that decides nothing.

    >>> from torchstone.lab import Estimate
    >>> accepted(Check.near("bias", Estimate(0.1, 0.0, 0.2), 0.25, within=0.25))
    (0.0, 0.5)
    """
    if match := _AT_LEAST.fullmatch(check.rule):
        return float(match[1]), math.inf
    if match := _NEAR.fullmatch(check.rule):
        centre, within = float(match[1]), float(match[2])
        return centre - within, centre + within
    return None


@dataclass(frozen=True)
class Bar:
    """Where things stand, in percent of the width of an axis that includes 0; ``None`` where there is nothing."""

    value: float
    low: float
    high: float
    accepted: tuple[float, float] | None
    reported: float | None
    zero: float


def bar(check: Check) -> Bar | None:
    """The picture of ``check``; ``None`` where a number is not finite or nothing stands beside it."""
    band = accepted(check)
    estimate = check.estimate
    marks = [estimate.value, estimate.low, estimate.high]
    marks += [] if check.reported is None else [check.reported]
    marks += [] if band is None else [edge for edge in band if math.isfinite(edge)]
    left, right = min(0.0, *marks), max(0.0, *marks)
    if not all(map(math.isfinite, marks)) or left == right:
        return None
    margin = 0.06 * (right - left)

    def place(value: float) -> float:
        clipped = min(max(value, left - margin), right + margin)
        return round(100 * (clipped - left + margin) / (right - left + 2 * margin), 2)

    return Bar(
        value=place(estimate.value),
        low=place(estimate.low),
        high=place(estimate.high),
        accepted=None if band is None else (place(band[0]), place(band[1])),
        reported=None if check.reported is None else place(check.reported),
        zero=place(0.0),
    )


def bar_words(check: Check) -> str:
    """What the picture shows, for those who cannot see it."""
    words = [f"measured {measured(check.estimate)}"]
    words += [f"threshold {check.rule}"] if check.rule else []
    words += [] if check.reported is None else [f"the paper reports {paper_number(check)}"]
    return ", ".join(words)
