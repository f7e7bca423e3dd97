"""Interval bars: a check's estimate, its interval, what was asked for and the paper's number on one small axis."""

import math
from dataclasses import dataclass

from torchstone.lab.verdict import Check
from torchstone.lab.wording import measured, paper_number


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
    band = check.accepts
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
