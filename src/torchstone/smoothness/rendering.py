"""A report as text, in the manner of a compiler: findings first, then what is known."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from torchstone.smoothness.report import Finding, Report, Site, bound

NAMED = 8  # parameters that share a finding, before the rest are only counted
BEGIN, END = 3, 5  # steps of a long path that are shown


def render(report: Report) -> str:
    """The findings, each with its line of source, then a summary."""
    return "\n\n".join([*blocks(report.findings), "\n".join(_summary(report))])


def blocks(findings: Iterable[Finding]) -> list[str]:
    """A paragraph for each finding; what befalls several parameters in one place is said once."""
    return [paragraph(first, [other.parameter or "" for other in others]) for first, *others in _alike(findings)]


def _alike(findings: Iterable[Finding]) -> Iterable[list[Finding]]:
    """The findings, with those together that differ in the parameter only."""
    groups = defaultdict(list)
    for finding in findings:
        about = finding.hint if finding.parameter else finding.message
        groups[finding.code, finding.op, finding.file, finding.line, about].append(finding)
    return groups.values()


def paragraph(finding: Finding, others: Sequence[str] = ()) -> str:
    """What is the matter, the line with the operation underlined, the path, the parameters ``others``, the hint."""
    gutter = " " * len(str(finding.line))
    notes = {"path": " -> ".join(_short(finding.path)), "also": _few(others, NAMED), "hint": finding.hint}
    return "\n".join(
        [
            f"{finding.severity}[{finding.code}]: {finding.message}",
            *(_source(finding, gutter) if finding.file else ()),
            *(f"{gutter} = {title}: {text}" for title, text in notes.items() if text),
        ]
    )


def _source(site: Site, gutter: str) -> list[str]:
    """Where it is, and the line of the program, where that can be read."""
    place = f"{gutter}--> {_relative(site.file)}:{site.line}"
    if not site.source:
        return [place]
    found = re.search(rf"\b{re.escape(site.op)}_?\b", site.source) if site.op else None
    marks = " " * found.start() + "^" * len(found.group()) if found else ""
    return [place, f"{gutter} |", f"{site.line} |     {site.source}", f"{gutter} |     {marks}".rstrip()]


def _relative(file: str) -> str:
    path, here = Path(file), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _short(path: Sequence[str]) -> Sequence[str]:
    left_out = len(path) - BEGIN - END
    return [*path[:BEGIN], f"({left_out} more)", *path[-END:]] if left_out > 1 else path


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
    counts = Counter(first.severity for first, *_ in _alike(report.findings))
    tally = [f"{n} {word}{'s' * (n > 1)}" for word in ("error", "warning") if (n := counts[word])]
    return [*rows, ", ".join(tally) or "no errors, no warnings"]


def _because(report: Report) -> str:
    lowest = [kink for kink in report.kinks if kink.order == report.order]
    return f" ({_few(lowest)})" if lowest else ""


def _few(sites: Iterable[Site | str], limit: int = 3) -> str:
    words = list(dict.fromkeys(map(str, sites)))
    return ", ".join(words[:limit]) + f" and {len(words) - limit} more" * (len(words) > limit)


def _listed(title: str, rows: list[str]) -> list[str]:
    rows = list(dict.fromkeys(rows))
    return [f"{title if i == 0 else '':<11}{row}" for i, row in enumerate(rows)]
