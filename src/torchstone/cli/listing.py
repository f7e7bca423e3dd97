"""``torchstone list``: every claim, and what it last said."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchstone.cli.common import OUT, mendable, print_json, screen

if TYPE_CHECKING:
    from rich.table import Table

    from torchstone.lab.catalogue import Entry
    from torchstone.lab.store import LastVerdict


@dataclass(frozen=True)
class List:
    """List every claim: name, paper, one sentence, scales, last verdict."""

    out: Path = OUT
    """folder of the runs, where the last verdicts are looked up"""
    json: bool = False
    """print JSON instead of a table"""

    def run(self) -> int:
        """Print the list; returns the exit code."""
        from torchstone.lab.catalogue import catalogue

        rows = [row_of(entry, self.out) for entry in catalogue()]
        console = screen()
        if self.json:
            print_json([asdict(row) for row in rows])
        elif console.is_terminal:
            console.print(claims_table(rows))
            console.print("torchstone run NAME runs one of them; torchstone show NAME shows what it said.", style="dim")
        else:
            for row in rows:
                print("\t".join((row.name, row.answer, ", ".join(row.scales), row.paper, row.sentence)))
        return 0


@dataclass(frozen=True)
class Row:
    """A claim in the list; ``verdict`` holds the last status, its scale and when it was judged."""

    name: str
    sentence: str
    paper: str
    scales: Sequence[str]
    verdict: Mapping[str, str] | None

    @property
    def answer(self) -> str:
        """The last verdict in words."""
        return f"{self.verdict['status']} ({self.verdict['scale']})" if self.verdict else "not run yet"


def row_of(entry: "Entry", out: Path) -> Row:
    """What the list says about a claim."""
    claim = entry.claim
    last = last_verdict(out, claim.name)
    verdict = last and {"status": last.verdict.status.value, "scale": last.scale, "when": last.when}
    return Row(claim.name, claim.sentence, claim.paper.cite, list(entry.scales), verdict)


def last_verdict(out: Path, name: str, scale: str | None = None) -> "LastVerdict | None":
    """The last verdict below ``out``; unlike the store itself, this makes no folder."""
    from torchstone.lab.store import Store

    if not (out / "store.sqlite").is_file():
        return None
    with mendable(out):
        return Store(out).last_verdict(name, scale)


def claims_table(rows: Sequence[Row]) -> "Table":
    """The claims as a table for the terminal."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_lines=False, padding=(0, 2, 1, 0))
    for heading in ("Claim", "What it says", "Last verdict"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        claim = Text(row.name, style="bold") + Text(f"\n{', '.join(row.scales)}", style="not bold dim")
        table.add_row(claim, Text(row.sentence) + Text(f"\n{row.paper}", style="dim"), Text(row.answer))
    return table
