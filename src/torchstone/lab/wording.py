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


def number(value: float, among: float | None = None) -> str:
    """``value`` as a person reads it, with as many decimals as a neighbour of the size ``among`` has.

    Three decimals where they say something, three figures below, whole numbers above; NaN and infinity by name.

    >>> number(0.98123), number(-12345.6), number(0.00012), number(float("nan"))
    ('0.981', '−12,346', '0.000120', 'NaN')
    >>> number(0.00012, among=0.5)
    '0.000'
    """
    if math.isnan(value):
        return "NaN"
    text = "∞" if math.isinf(value) else format(abs(value), _format(abs(value) if among is None else among))
    return f"−{text}" if value < 0 else text


def _format(size: float) -> str:
    if size == 0 or 0.1 <= size < 100:
        return ".3f"
    if 1e-6 <= size < 0.1:
        return f".{2 - math.floor(math.log10(size))}f"
    return ",.0f" if 100 <= size < 1e7 else ".2e"


def value(estimate: Estimate) -> str:
    """The value of ``estimate`` with the decimals of its interval.

    >>> value(Estimate(-0.000953, -0.00411, 0.0022))
    '−0.00095'
    """
    return number(estimate.value, _size(estimate))


def interval(estimate: Estimate) -> str:
    """The 95 % interval in brackets; nothing where the estimate is a plain number.

    >>> interval(Estimate(-0.000953, -0.00411, 0.0022)), interval(Estimate(3.0, 3.0, 3.0))
    ('[−0.00411, 0.00220]', '')
    """
    if estimate.low == estimate.value == estimate.high:
        return ""
    size = _size(estimate)
    return f"[{number(estimate.low, size)}, {number(estimate.high, size)}]"


def _size(estimate: Estimate) -> float:
    """The largest of the three finite sizes: it sets the decimals of all three."""
    sizes = (abs(number) for number in (estimate.value, estimate.low, estimate.high) if math.isfinite(number))
    return max(sizes, default=0.0)


def measured(estimate: Estimate) -> str:
    """A value with its interval.

    >>> measured(Estimate(0.5, 0.25, 0.75))
    '0.500 [0.250, 0.750]'
    """
    return f"{value(estimate)} {interval(estimate)}".rstrip()


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
