"""The tables of the terminal: checks of a verdict, claims of the laboratory."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchstone.lab.verdict import Check, Status, Verdict
from torchstone.lab.wording import measured, paper_number, primary_first, status_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

STYLES = {
    Status.CONFIRMED: "green",
    Status.WEAKER: "yellow",
    Status.INCONCLUSIVE: "default",
    Status.ABSENT: "magenta",
    Status.OPPOSITE: "red",
}


def print_verdict(verdict: Verdict, console: "Console") -> None:
    """The table of checks, then the verdict on one line."""
    from rich.text import Text

    console.print(checks_table(verdict.checks))
    answer = Text(status_words(verdict.status).upper(), style=f"bold {STYLES[verdict.status]}")
    console.print(answer + Text(f"  {verdict.sentence}", style="default"), soft_wrap=True)


def print_findings(findings: Sequence[str], console: "Console") -> None:
    """What the audit found unfair, a line each."""
    for finding in findings:
        console.print(f"The audit found {finding}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def checks_table(checks: Sequence[Check]) -> "Table":
    """Check, measured with interval, threshold, the paper's number, result; the checks that decide have a star."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, caption="* decides the verdict; brackets: 95 % interval", caption_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column("Check", overflow="fold")
    for heading in ("Measured", "Threshold", "Paper"):
        table.add_column(heading, justify="right", no_wrap=heading != "Measured")
    table.add_column("Result", no_wrap=True)
    for check in primary_first(checks):
        cells = (measured(check.estimate), check.rule or "–", paper_number(check))
        result = Text(status_words(check.status), style="dim" if check.status is None else STYLES[check.status])
        table.add_row("*" if check.primary else "", Text(check.name), *map(Text, cells), result)
    return table


def checks_json(verdict: Verdict | None) -> dict[str, Any] | None:
    """A verdict as JSON values; ``None`` for a run that was not judged."""
    if verdict is None:
        return None
    return {
        "status": verdict.status.value,
        "sentence": verdict.sentence,
        "checks": [_check_json(check) for check in primary_first(verdict.checks)],
    }


def _check_json(check: Check) -> Mapping[str, Any]:
    return {
        "name": check.name,
        "primary": check.primary,
        "value": check.estimate.value,
        "low": check.estimate.low,
        "high": check.estimate.high,
        "rule": check.rule or None,
        "reported": check.reported,
        "status": check.status.value if check.status else None,
    }
