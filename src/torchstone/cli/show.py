"""``torchstone show``: what a claim last said."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from torchstone.cli.common import OUT, UsageError, find_study, print_json, screen
from torchstone.cli.listing import last_verdict
from torchstone.cli.records import print_records, records_of


@dataclass(frozen=True)
class Show:
    """Show the last result of one claim: checks, intervals, the paper's numbers, verdict."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """the claim; `torchstone list` shows all of them"""
    out: Path = OUT
    """folder of the runs"""
    scale: Literal["latest", "laptop", "paper"] = "latest"
    """the scale of the result; smoke has none"""
    records: bool = False
    """show what is on record instead, at every scale unless one is given: id, arm, seed, code, device, time"""
    json: bool = False
    """print JSON instead of a table"""

    def run(self) -> int:
        """Print the result; returns the exit code."""
        from torchstone.cli.tables import checks_json, print_findings, print_verdict
        from torchstone.lab.card import read_card
        from torchstone.lab.report import report_path

        claim = find_study(self.name).claim
        scale = None if self.scale == "latest" else self.scale
        if self.records:
            print_records(records_of(self.out, claim.name, scale), json=self.json)
            return 0
        last = last_verdict(self.out, claim.name, scale)
        if last is None:
            at_scale = f" at scale {scale}" if scale else ""
            raise UsageError(
                f"There is no verdict on '{claim.name}'{at_scale} in {self.out}. "
                f"Run it first: torchstone run {claim.name}"
            )
        page = report_path(self.out, claim.name, last.scale, last.seed)
        report = page if page.is_file() else None
        card = read_card(page)
        findings = card.findings if card else []
        if self.json:
            answer = {"claim": claim.name, "scale": last.scale, "seed": last.seed, "when": last.when}
            where = {"report": str(report) if report else None}
            print_json(answer | {"verdict": checks_json(last.verdict), "audit": list(findings)} | where)
            return 0
        console = screen()
        console.print(claim.sentence, markup=False)
        console.print(
            f"{claim.paper.cite}\nScale {last.scale}, block of seeds {last.seed}, judged {last.when}.",
            style="dim",
            markup=False,
        )
        print_verdict(last.verdict, console)
        print_findings(findings, console)
        if report:
            console.print(f"Report: {report}", markup=False, soft_wrap=True)
        return 0
