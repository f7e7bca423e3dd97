"""The report: one self-contained HTML file that opens offline, reads on a phone and prints on paper."""

import math
import shlex
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from torchstone.files import sha256, write_text
from torchstone.lab.audit import Fairness, fairness
from torchstone.lab.card import Card, write_card
from torchstone.lab.claim import Claim
from torchstone.lab.discover import installed
from torchstone.lab.divergence import draw
from torchstone.lab.encoding import encode_verdict
from torchstone.lab.evidence import KEPT
from torchstone.lab.pages import render, text_of
from torchstone.lab.run import Run
from torchstone.lab.study import Figure
from torchstone.lab.verdict import Verdict
from torchstone.lab.version import code_version
from torchstone.lab.wording import duration, primary_first

NOT_JUDGED = "The scale smoke is too small to be judged: it shows that the study runs, not that the claim holds."
NOT_RUN = "Nothing of it is on record here."


def report_path(folder: Path, claim: str, scale: str, seed: int = 0) -> Path:
    """Where the report of a run lies below ``folder`` (the ``--out`` of the command).

    >>> report_path(Path("torchstone-runs"), "corresponding-layers", "laptop", 3).as_posix()
    'torchstone-runs/reports/corresponding-layers-laptop-seed3.html'
    """
    suffix = f"-seed{seed}" if seed else ""
    return folder / "reports" / f"{claim}-{scale}{suffix}.html"


def rerun_command(run: Run) -> str:
    """The command that repeats ``run``; empty for a study that commands do not find, since it is not installed."""
    if not installed(run.study):
        return ""
    words = ["torchstone", "run", run.study.claim.name, "--scale", run.scale, "--seed", str(run.seed)]
    device = run.environment.get("device", "cpu").partition(" ")[0]  # the rest is the name of the accelerator
    return shlex.join(words if device == "cpu" else [*words, "--device", device])


def render_report(run: Run) -> str:
    """The report of ``run`` as one HTML page.

    Everything that comes from a study is escaped, except the SVG of its figures; a content security policy inside the
    page forbids scripts and requests, whatever a figure contains.

    Args:
        run: a finished run; without a verdict the page says that it was not judged.

    Returns:
        The page: styles and figures inline, no script, no address that a browser would load.
    """
    return _page(run, draw(run.study, run.records), fairness(run))


def render_without_records(claim: Claim, verdict: Verdict | None = None) -> str:
    """The page of a claim that has not been run, or of whose run only the verdict is left."""
    return _render(claim, verdict, command=shlex.join(["torchstone", "run", claim.name]))


def write_report(run: Run, folder: str | Path) -> Path:
    """Write the report of ``run`` below ``folder``, and beside it what the review shows of it, each atomically.

    Args:
        run: a finished run.
        folder: the ``--out`` of the command; the page goes into ``folder/reports``.

    Returns:
        The path of the page (see :func:`report_path`).
    """
    path = report_path(Path(folder), run.study.claim.name, run.scale, run.seed)
    figures, fair = draw(run.study, run.records), fairness(run)
    page = _page(run, figures, fair)
    write_text(path, page)
    write_card(_card(run, figures, page, fair), path)
    return path


def _page(run: Run, figures: Sequence[Figure], fair: Fairness | None) -> str:
    return _render(
        run.study.claim,
        run.verdict,
        run=run,
        figures=figures,
        fairness=fair,
        cost=_cost(run),
        evidence_kept=KEPT,
        power=run.study.power(run.study.scales[run.scale]),
        command=rerun_command(run),
    )


def _render(claim: Claim, verdict: Verdict | None, *, run: Run | None = None, **values: Any) -> str:
    return render(
        "report.html",
        claim=claim,
        verdict=verdict,
        run=run,
        checks=primary_first(verdict.checks) if verdict else [],
        css=text_of("theme.css", "report.css"),
        without_verdict=f"{NOT_JUDGED} Run it at the scale laptop for a verdict." if run else NOT_RUN,
        **{"figures": [], "fairness": None, "cost": {}, "power": {}} | values,
    )


def _card(run: Run, figures: Sequence[Figure], page: str, fair: Fairness | None) -> Card:
    version = None
    with suppress(ValueError):
        version = code_version(run.study)
    return Card(
        sentence=run.study.claim.sentence,
        code_version=version,
        verdict=encode_verdict(run.verdict) if run.verdict else None,
        trials=len(run.records),
        seconds=math.fsum(record.seconds for record in run.records),
        environment=run.environment,
        picture=figures[0] if figures else None,
        page=sha256(page.encode()),
        findings=[str(finding) for finding in fair.findings] if fair else [],
    )


def _cost(run: Run) -> Mapping[str, str]:
    planned = len(run.study.trials(run.study.scales[run.scale]))
    left_out = planned - len(run.records)
    cost = {
        "Wall clock of this run": duration(run.seconds),
        "Trials": f"{len(run.records)} of {planned}" if left_out else str(planned),
        "Time of all trials together": duration(math.fsum(record.seconds for record in run.records)),
    }
    diverged = sum(bool(record.diverged) for record in run.records)
    cost |= {"Diverged": f"{diverged} of {len(run.records)} trials"} if diverged else {}
    cost |= {"Left out, since this machine lacks what they need": str(left_out)} if left_out else {}
    return cost | ({"Processes": run.environment["jobs"]} if "jobs" in run.environment else {})
