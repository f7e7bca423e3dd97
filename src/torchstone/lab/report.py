"""The report: one self-contained HTML file that opens offline, reads on a phone and prints on paper."""

import math
import shlex
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchstone.files import write_text
from torchstone.lab.bars import bar, bar_words
from torchstone.lab.run import Run
from torchstone.lab.wording import (
    MARKS,
    MEANINGS,
    duration,
    interval,
    number,
    paper_number,
    primary_first,
    status_words,
    value,
)

if TYPE_CHECKING:
    from jinja2 import Environment

NOT_JUDGED = "The scale smoke is too small to be judged: it shows that the study runs, not that the claim holds."


def report_path(folder: Path, claim: str, scale: str, seed: int = 0) -> Path:
    """Where the report of a run lies below ``folder`` (the ``--out`` of the command).

    >>> report_path(Path("torchstone-runs"), "corresponding-layers", "laptop", 3).as_posix()
    'torchstone-runs/reports/corresponding-layers-laptop-seed3.html'
    """
    suffix = f"-seed{seed}" if seed else ""
    return folder / "reports" / f"{claim}-{scale}{suffix}.html"


def rerun_command(run: Run) -> str:
    """The command that repeats ``run``."""
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
    verdict = run.verdict
    return (
        _environment()
        .get_template("report.html")
        .render(
            run=run,
            claim=run.study.claim,
            verdict=verdict,
            checks=primary_first(verdict.checks) if verdict else [],
            figures=run.study.figures(run.records),
            cost=_cost(run),
            command=rerun_command(run),
            css=_template_text("report.css"),
            marks=MARKS,
            meanings=MEANINGS,
            not_judged=NOT_JUDGED,
        )
    )


def write_report(run: Run, folder: str | Path) -> Path:
    """Write the report of ``run`` below ``folder``, atomically.

    Args:
        run: a finished run.
        folder: the ``--out`` of the command; the page goes into ``folder/reports``.

    Returns:
        The path of the page (see :func:`report_path`).
    """
    path = report_path(Path(folder), run.study.claim.name, run.scale, run.seed)
    write_text(path, render_report(run))
    return path


def _cost(run: Run) -> Mapping[str, str]:
    planned = len(run.study.trials(run.study.scales[run.scale]))
    left_out = planned - len(run.records)
    cost = {
        "Wall clock of this run": duration(run.seconds),
        "Trials": f"{len(run.records)} of {planned}" if left_out else str(planned),
        "Time of all trials together": duration(math.fsum(record.seconds for record in run.records)),
    }
    cost |= {"Left out, since this machine lacks what they need": str(left_out)} if left_out else {}
    return cost | ({"Processes": run.environment["jobs"]} if "jobs" in run.environment else {})


def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_template_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(_FILTERS)
    return environment


def _template_text(name: str) -> str:
    return (files("torchstone.lab") / "templates" / name).read_text(encoding="utf-8")


_FILTERS: Mapping[str, Any] = {
    "bar": bar,
    "bar_words": bar_words,
    "duration": duration,
    "finite": math.isfinite,
    "interval": interval,
    "number": number,
    "paper_number": paper_number,
    "status_words": status_words,
    "value": value,
}
