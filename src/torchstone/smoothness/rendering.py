"""A report as text, in the manner of a compiler: findings first, then what is known."""

from collections.abc import Iterable

from torchstone.smoothness.report import Report, Site, bound


def render(report: Report) -> str:
    """The findings, each with its line of source, then a summary."""
    blocks = [str(finding) for finding in report.findings]
    return "\n\n".join([*blocks, "\n".join(_summary(report))])


def _summary(report: Report) -> list[str]:
    trainable = len(report.live) + len(report.blocked)
    rows = [
        f"order      {report.order!r}{_because(report)}",
        f"shape      {report.shape_class}",
        f"Lipschitz  {bound(report.lipschitz)}",
        f"gradients  reach {len(report.live)} of {trainable}"
        + (f", {len(report.frozen)} frozen" * bool(report.frozen)),
    ]
    rows += _listed(
        "provided", [f"{c} {c.text}" + " (not on this sample)" * (not c.holds) for c in report.side_conditions]
    )
    rows += _listed("decided", [f"{d} = {d.value}" for d in report.decisions])
    tally = [f"{n} {word}{'s' * (n > 1)}" for word in ("error", "warning") if (n := report.count(word))]
    return [*rows, ", ".join(tally) or "no errors, no warnings"]


def _because(report: Report) -> str:
    lowest = [kink for kink in report.kinks if kink.order == report.order]
    return f" ({_few(lowest)})" if lowest else ""


def _few(sites: Iterable[Site], limit: int = 3) -> str:
    words = list(dict.fromkeys(map(str, sites)))
    return ", ".join(words[:limit]) + f" and {len(words) - limit} more" * (len(words) > limit)


def _listed(title: str, rows: list[str]) -> list[str]:
    rows = list(dict.fromkeys(rows))
    return [f"{title if i == 0 else '':<11}{row}" for i, row in enumerate(rows)]
