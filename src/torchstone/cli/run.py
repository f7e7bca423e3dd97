"""``torchstone run``: run the trials of one claim, judge them, write the report."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from torchstone.cli.common import OUT, UsageError, check_writable, find_study, mendable, print_json, screen

if TYPE_CHECKING:
    from torchstone.lab import Study
    from torchstone.lab.run import Run as FinishedRun

TRIAL_FAILED = 1
INTERRUPTED = 130
JOBS = tyro.constructors.PrimitiveConstructorSpec[int | None](
    nargs=1,
    metavar="N",
    instance_from_str=lambda words: int(words[0]),
    is_instance=lambda value: value is None or isinstance(value, int),
    str_from_instance=lambda value: ["one-per-core" if value is None else str(value)],
)


@dataclass(frozen=True)
class Run:
    """Run one claim and judge it; trials that are on record are not run again."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """the claim; `torchstone list` shows all of them"""
    scale: Literal["smoke", "laptop", "paper"] = "laptop"
    """smoke: seconds, not judged; laptop: minutes; paper: the paper's own protocol"""
    jobs: Annotated[int | None, JOBS] = None
    """trials at the same time, each with its share of the cores; 0 runs them in this process"""
    seed: int = 0
    """block of seeds: another number repeats the whole run with other seeds"""
    out: Path = OUT
    """folder of records and reports"""
    json: bool = False
    """print JSON instead of a table; progress goes to stderr in any case"""
    device: str = "cpu"
    """where the trials compute, such as cpu or cuda"""

    def run(self) -> int:
        """Run the claim and print the answer; returns the exit code."""
        from torchstone.lab.report import write_report
        from torchstone.lab.runner import TrialsFailedError

        study = find_study(self.name)
        self.check(study)
        try:
            with mendable(self.out):
                run = self.perform(study)
        except TrialsFailedError as error:
            print(f"torchstone: {error}", file=sys.stderr)
            return TRIAL_FAILED
        except KeyboardInterrupt as interrupt:
            print(f"{interrupt or 'Interrupted.'} The same command goes on from there.", file=sys.stderr)
            return INTERRUPTED
        self.print(run, write_report(run, self.out))
        return 0

    def check(self, study: "Study") -> None:
        """Refuse what cannot be run, before anything is."""
        from torchstone.lab.environment import checked_device
        from torchstone.lab.plan import planned_trials

        if self.jobs is not None and self.jobs < 0:
            raise UsageError(f"--jobs must be 0 (this process) or more, but it is {self.jobs}.")
        try:
            planned_trials(study, self.scale, self.seed)
            checked_device(self.device)
        except ValueError as error:
            raise UsageError(f"--{error}") from None
        check_writable(self.out)

    def perform(self, study: "Study") -> "FinishedRun":
        """Run the study under a display of its progress."""
        from torchstone.cli.progress import watch
        from torchstone.lab.runner import run_study

        with watch(self.name, screen(errors=True)) as listen:
            return run_study(
                study, self.scale, out=self.out, seed=self.seed, jobs=self.jobs, device=self.device, listen=listen
            )

    def print(self, run: "FinishedRun", report: Path) -> None:
        """The answer, as a table or as JSON."""
        from torchstone.cli.tables import checks_json, print_verdict
        from torchstone.lab.report import NOT_JUDGED

        if self.json:
            cost = {"trials": len(run.records), "seconds": run.seconds, "environment": dict(run.environment)}
            answer = {"claim": self.name, "scale": run.scale, "seed": run.seed, "verdict": checks_json(run.verdict)}
            print_json(answer | cost | {"report": str(report)})
            return
        console = screen()
        if run.verdict is None:
            console.print(NOT_JUDGED, soft_wrap=True)
        else:
            print_verdict(run.verdict, console)
        console.print(f"Report: {report}", markup=False, soft_wrap=True)
