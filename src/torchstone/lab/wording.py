"""Numbers, intervals and times as a person reads them: the same in the terminal and in the report."""

import math
from collections.abc import Sequence

from torchstone.lab.verdict import Check, Estimate, Status

MARKS = {
    Status.CONFIRMED: "✓",
    Status.WEAKER: "≈",
    Status.INCONCLUSIVE: "?",
    Status.ABSENT: "○",
    Status.OPPOSITE: "✗",
}
MEANINGS = {
    Status.CONFIRMED: "the whole interval reaches the threshold.",
    Status.WEAKER: "there is an effect in the claimed direction, but the interval does not reach the threshold.",
    Status.INCONCLUSIVE: "the interval is too wide to say.",
    Status.ABSENT: "the whole interval lies in the zone that was called no effect beforehand.",
    Status.OPPOSITE: "the whole interval lies on the other side.",
}


def number(value: float) -> str:
    """Three decimals where they say something, three figures elsewhere; NaN and infinity by name.

    >>> number(0.98123), number(-1234567.0), number(0.00012), number(float("nan"))
    ('0.981', '−1.23e+06', '0.00012', 'NaN')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    size = abs(value)
    text = f"{size:.3f}" if size == 0 or 0.01 <= size < 100 else f"{size:.3g}"
    return f"−{text}" if value < 0 else text


def interval(estimate: Estimate) -> str:
    """The 95 % interval in brackets; nothing where the estimate is a plain number.

    >>> interval(Estimate(0.5, 0.25, 0.75)), interval(Estimate(3.0, 3.0, 3.0))
    ('[0.250, 0.750]', '')
    """
    if estimate.low == estimate.value == estimate.high:
        return ""
    return f"[{number(estimate.low)}, {number(estimate.high)}]"


def measured(estimate: Estimate) -> str:
    """A value with its interval.

    >>> measured(Estimate(0.5, 0.25, 0.75))
    '0.500 [0.250, 0.750]'
    """
    return f"{number(estimate.value)} {interval(estimate)}".rstrip()


def paper_number(check: Check) -> str:
    """What the paper reports for ``check``, or a dash."""
    return "–" if check.reported is None else number(check.reported)


def status_words(status: Status | None) -> str:
    """A status with its mark; a check without one is reported only.

    >>> status_words(Status.CONFIRMED), status_words(None)
    ('✓ confirmed', 'reported only')
    """
    return "reported only" if status is None else f"{MARKS[status]} {status.value}"


def duration(seconds: float) -> str:
    """Seconds in the units that a person would use.

    >>> duration(0.234), duration(42.3), duration(75), duration(7380)
    ('0.2 s', '42 s', '1 min 15 s', '2 h 3 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def primary_first(checks: Sequence[Check]) -> list[Check]:
    """The checks that decide before those that do not, otherwise in their order."""
    return sorted(checks, key=lambda check: not check.primary)
