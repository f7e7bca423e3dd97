"""``torchstone run``: run the trials of one claim, judge them, write the report."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from torchstone.cli.common import OUT, UsageError, check_writable, find_study, mendable, print_json, screen

if TYPE_CHECKING:
    from torchstone.lab import RayEngine, Study
    from torchstone.lab.run import Run as FinishedRun

FAILED = 1
INTERRUPTED = 130


def number_or(default: str, kind: type[int] | type[float] = int) -> "tyro.constructors.PrimitiveConstructorSpec[Any]":
    """An option that is a number, or when it is not given what ``default`` says."""
    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="N",
        instance_from_str=lambda words: kind(words[0]),
        is_instance=lambda value: value is None or isinstance(value, kind),
        str_from_instance=lambda value: [default if value is None else str(value)],
    )


Jobs = Annotated[int | None, number_or("fill-the-cores")]
Cpus = Annotated[int | None, number_or("one-per-process")]
Gpus = Annotated[float | None, number_or("one-per-process-on-cuda", float)]


@dataclass(frozen=True)
class Run:
    """Run one claim and judge it; trials that are on record are not run again."""

    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """the claim; `torchstone list` shows all of them"""
    scale: Literal["smoke", "laptop", "paper"] = "laptop"
    """smoke: seconds, not judged; laptop: minutes; paper: the paper's own protocol"""
    jobs: Jobs = None
    """trials at the same time, each with its share of the cores; 0 runs them in this process"""
    seed: int = 0
    """block of seeds: another number repeats the whole run with other seeds"""
    out: Path = OUT
    """folder of records and reports"""
    json: bool = False
    """print JSON instead of a table; progress goes to stderr in any case"""
    device: str = "cpu"
    """where the trials compute, such as cpu or cuda"""
    engine: Literal["local", "ray"] = "local"
    """local: processes of this machine; ray: a running Ray cluster, where --jobs is how many trials it gets at once"""
    address: str = "auto"
    """of the Ray cluster, such as 10.0.0.1:6379; auto: $RAY_ADDRESS, or the one that runs on this machine"""
    cpus_per_trial: Cpus = None
    """cores of a trial on the Ray cluster, which are its threads"""
    gpus_per_trial: Gpus = None
    """GPUs of a trial on the Ray cluster; 0.5 lets two trials share one"""

    def run(self) -> int:
        """Run the claim and print the answer; returns the exit code."""
        from torchstone.lab.engine import EngineError
        from torchstone.lab.runner import TrialsFailedError

        study = find_study(self.name)
        self.check(study)
        try:
            with mendable(self.out):
                run = self.perform(study)
        except EngineError as error:
            raise UsageError(f"--{error}") from None
        except TrialsFailedError as error:
            print(f"torchstone: {error}", file=sys.stderr)
            return FAILED
        except KeyboardInterrupt as interrupt:
            print(f"{interrupt or 'Interrupted.'} The same command goes on from there.", file=sys.stderr)
            return INTERRUPTED
        return self.answer(run)

    def check(self, study: "Study") -> None:
        """Refuse what cannot be run, before anything is."""
        from torchstone.lab.plan import planned_trials

        if self.jobs is not None and self.jobs < 0:
            raise UsageError(f"--jobs must be 0 (this process) or more, but it is {self.jobs}.")
        if self.seed < 0:
            raise UsageError(f"--seed must be the number of a block of seeds, 0 or more, but it is {self.seed}.")
        if self.scale not in study.scales:
            raise UsageError(
                f"--scale must be one of {', '.join(study.scales)} for '{self.name}', but it is '{self.scale}'."
            )
        try:
            planned_trials(study, self.scale, self.seed)
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from None
        self.check_place()
        check_writable(self.out)

    def check_place(self) -> None:
        """Refuse a device that is not there, and options of the other engine."""
        from torchstone.lab.environment import checked_device

        if self.engine == "ray":
            self.cluster()
            return
        for option in ("address", "cpus_per_trial", "gpus_per_trial"):
            if getattr(self, option) != getattr(Run, option):
                raise UsageError(f"--{option.replace('_', '-')} is for a Ray cluster: add --engine ray.")
        try:
            checked_device(self.device)
        except ValueError as error:
            raise UsageError(f"--{error}") from None

    def cluster(self) -> "RayEngine":
        """The engine of the Ray cluster, not yet connected."""
        from torchstone.lab.ray_engine import AT_ONCE, RayEngine

        if self.jobs == 0:
            raise UsageError("--jobs 0 runs trials in this process: leave --engine ray out.")
        try:
            return RayEngine(self.address, self.cpus_per_trial, self.gpus_per_trial, self.jobs or AT_ONCE)
        except ValueError as error:
            raise UsageError(f"--{str(error).replace('_', '-')}") from None

    def perform(self, study: "Study") -> "FinishedRun":
        """Run the study under a display of its progress."""
        from torchstone.cli.progress import watch
        from torchstone.lab.runner import run_study

        console = screen(errors=True)
        for check, chance in study.power(study.scales[self.scale]).items():
            line = (
                f"Declared beforehand: were the effect there, '{check}' would confirm it with probability {chance:.2f}."
            )
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        with watch(self.name, console) as listen:
            return run_study(
                study,
                self.scale,
                out=self.out,
                seed=self.seed,
                jobs=self.jobs,
                device=self.device,
                engine=self.cluster() if self.engine == "ray" else None,
                listen=listen,
            )

    def answer(self, run: "FinishedRun") -> int:
        """Print the verdict and write the report, in this order: figures that fail hide no verdict."""
        if not self.json:
            self.print_verdict(run)
        report = self.report(run)
        if self.json:
            self.print_json(run, report)
        elif report:
            screen().print(f"Report: {report}", markup=False, soft_wrap=True)
        return 0 if report else FAILED

    def report(self, run: "FinishedRun") -> Path | None:
        """Write the report; ``None``, and a sentence on stderr, when that fails."""
        from torchstone.lab.report import write_report

        try:
            return write_report(run, self.out)
        except Exception as error:  # whatever a study's figures do
            sys.stdout.flush()
            print(
                f"torchstone: The report could not be drawn ({type(error).__name__}: {error}); the trials are on "
                f"record in {self.out}.",
                file=sys.stderr,
            )
            return None

    def print_json(self, run: "FinishedRun", report: Path | None) -> None:
        """The answer as JSON."""
        from torchstone.cli.tables import checks_json

        cost = {"trials": len(run.records), "seconds": run.seconds, "environment": dict(run.environment)}
        answer = {"claim": self.name, "scale": run.scale, "seed": run.seed, "verdict": checks_json(run.verdict)}
        print_json(answer | {"audit": _findings(run)} | cost | {"report": str(report) if report else None})

    def print_verdict(self, run: "FinishedRun") -> None:
        """The answer as a table."""
        from torchstone.cli.tables import print_findings, print_verdict
        from torchstone.lab.report import NOT_JUDGED

        console = screen()
        if run.verdict is None:
            console.print(NOT_JUDGED, soft_wrap=True)
        else:
            print_verdict(run.verdict, console)
        print_findings(_findings(run), console)


def _findings(run: "FinishedRun") -> list[str]:
    from torchstone.lab.audit import fairness

    fair = fairness(run)
    return [str(finding) for finding in fair.findings] if fair else []
