"""Running a study: the trials that are not on record, in processes of their own, each recorded when it ends."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torchstone.files import remove_temporaries
from torchstone.lab.divergence import divergence, judge
from torchstone.lab.encoding import decode_metrics
from torchstone.lab.engine import Engine, ThisProcess
from torchstone.lab.environment import available_cores
from torchstone.lab.evidence import evidence_folder, keep_evidence
from torchstone.lab.plan import planned_trials
from torchstone.lab.pool import LocalProcesses
from torchstone.lab.run import Event, Run
from torchstone.lab.scratch import Scratch, folder_name, sweep
from torchstone.lab.store import Key, Store
from torchstone.lab.study import Record, Study, Trial
from torchstone.lab.task import Message, Task
from torchstone.lab.version import code_version

SECONDS_OF_A_WRITE = 60.0  # at most; a temporary file that is older is an orphan


class TrialsFailedError(RuntimeError):
    """Some trials of a run failed; the others are on record.

    Args:
        study: the name of the claim.
        failures: each failed trial with its traceback.
        total: how many trials the run has.
    """

    def __init__(self, study: str, failures: Sequence[tuple[Trial, str]], total: int) -> None:
        self.failures = failures
        others = f"; the other {total - len(failures)} need not be run again" if len(failures) < total else ""
        lines = [f"{len(failures)} of {total} trials of '{study}' failed{others}."]
        lines += [f"Trial {trial.arm}, seed {trial.seed}, {dict(trial.config)}:\n{note}" for trial, note in failures]
        super().__init__("\n\n".join(lines))


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C came during a run; its text says how much is on record, which the next run of it starts from."""


def ignore(event: Event) -> None:
    """Listen to nothing."""


def run_study(
    study: Study,
    scale: str = "laptop",
    *,
    out: Path,
    seed: int = 0,
    jobs: int | None = None,
    device: str = "cpu",
    engine: Engine | None = None,
    listen: Callable[[Event], None] = ignore,
) -> Run:
    """Run every trial of ``study`` that is not on record in ``out``, then judge them all.

    Each trial is recorded when it ends, so a run that was stopped, however roughly, goes on where it was.

    Args:
        study: what to run; its class stands in a module that can be imported, unless ``jobs`` is 0.
        scale: a key of ``study.scales``; at ``smoke`` nothing is judged.
        out: the folder of the records; made when missing.
        seed: the block of seeds: block S adds 1000 S to the seed of every trial.
        jobs: how many trials run at once, each in a process with its share of the cores as threads. By default
            :func:`default_jobs`, which leaves no core idle; 0 runs them one by one in this process, with its threads.
        device: where the trials compute, such as ``cpu`` or ``cuda:0``.
        engine: what runs the trials, such as a :class:`~torchstone.lab.ray_engine.RayEngine`; by default this machine,
            as ``jobs`` says.
        listen: called in this thread with every :class:`~torchstone.lab.run.Event`.

    Returns:
        The run with all its records, in the order of ``study.trials``, and the verdict.

    Raises:
        ValueError, TypeError: an argument or the study's list of trials is not as it must be; nothing was run.
        TrialsFailedError: trials raised, or killed their process twice; the rest was run and is on record. Trials that
            raised :class:`~torchstone.lab.study.Unavailable` are left out; if all did, that is a failure.
        RunInterrupted: Ctrl-C; what was finished is on record.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from torchstone.lab.discover import find
        >>> with TemporaryDirectory() as folder:
        ...     run = run_study(find("small-sample-bias"), "smoke", out=Path(folder), jobs=0)
        >>> run.verdict is None
        True
    """
    started = time.monotonic()
    driver = _prepare(study, scale, Path(out), seed, jobs, device, engine, listen)
    try:
        driver.run_missing()
    except KeyboardInterrupt as interrupt:
        raise RunInterrupted(driver.progress_report()) from interrupt
    finally:
        driver.release_scratch()
    if driver.failures or len(driver.skipped) == len(driver.trials):
        raise TrialsFailedError(study.claim.name, driver.failures or driver.skipped, len(driver.trials))
    records = driver.records()
    verdict = None if scale == "smoke" else judge(study, records)
    if verdict is not None:
        driver.store.add_verdict(study.claim.name, scale, seed, driver.keys[0].code_version, verdict)
    return Run(study, scale, seed, records, verdict, time.monotonic() - started, driver.environment)


def default_jobs(cores: int, trials: int) -> int:
    """The largest divisor of ``cores`` that is at most ``trials``.

    The bits of a trial may depend on its number of threads, so all jobs have the same; a divisor leaves no core idle.

    >>> default_jobs(cores=8, trials=5)  # with two threads each; five jobs with one each would leave three cores idle
    4
    """
    return max(jobs for jobs in range(1, cores + 1) if cores % jobs == 0 and jobs <= trials)


def _prepare(
    study: Study,
    scale: str,
    out: Path,
    seed: int,
    jobs: int | None,
    device: str,
    engine: Engine | None,
    listen: Callable[[Event], None],
) -> "_Driver":
    """Check what was asked for, and set the driver up."""
    if not isinstance(study, Study):
        name = getattr(study, "__name__", type(study).__name__)
        raise TypeError(f"study must be an instance of a Study, such as {name}(), but it is {study!r}.")
    trials = planned_trials(study, scale, seed)
    _check_processes(study)
    if engine is None:
        engine = this_machine(study, len(trials), jobs)
    device, environment = engine.prepare(study, device)
    version = code_version(study)
    keys = [Key.of(study.claim.name, scale, trial, version, device) for trial in trials]
    return _Driver(study, scale, engine, trials, keys, environment, Store(out), listen)


def this_machine(study: Study, trials: int, jobs: int | None) -> Engine:
    """The engine of this machine: ``jobs`` processes that share its cores, or for 0 this process."""
    each = max(1, available_cores() // study.processes)  # cores of each rank of a distributed trial
    if jobs is None:
        jobs = default_jobs(each, trials)
    if not isinstance(jobs, int) or jobs < 0:
        raise ValueError(f"jobs must be how many trials run at once, 0 or more, but it is {jobs!r}.")
    return LocalProcesses(jobs, max(1, each // jobs)) if jobs else ThisProcess()


def _check_processes(study: Study) -> None:
    if not isinstance(study.processes, int) or study.processes < 1:
        raise ValueError(
            f"processes of '{study.claim.name}' must be how many processes a trial is, 1 or more, but it is "
            f"{study.processes!r}."
        )


@dataclass
class _Driver:
    """A run on its way: it alone writes the store."""

    study: Study
    scale: str
    engine: Engine
    trials: Sequence[Trial]
    keys: Sequence[Key]
    environment: Mapping[str, str]
    store: Store
    listen: Callable[[Event], None]
    failures: list[tuple[Trial, str]] = field(default_factory=list)
    skipped: list[tuple[Trial, str]] = field(default_factory=list)
    scratch: dict[int, Scratch] = field(default_factory=dict)

    def run_missing(self) -> None:
        """Run what is not on record."""
        self.engine.perform(self.study, self.missing(), self.task, self.hear)

    def missing(self) -> list[int]:
        """The trials to run; those on record are told as ``reused``."""
        self.store.forget_incomplete(self.study.claim.name, self.scale)
        on_record = self.store.records(self.study.claim.name, self.scale)
        sweep(self.store.folder / "scratch", self.study.claim.name, self.keys[0].code_version, on_record)
        sweep(evidence_folder(self.store.folder), self.study.claim.name, self.keys[0].code_version, ())
        for folder in (self.store.folder, *self.store.folder.glob("reports"), *self.store.folder.glob("artifacts/*")):
            remove_temporaries(folder, older_than=SECONDS_OF_A_WRITE)
        for index, key in enumerate(self.keys):
            if key in on_record:
                self.tell(index, "reused", 1.0, on_record[key].diverged)
        return [index for index, key in enumerate(self.keys) if key not in on_record]

    def task(self, index: int) -> Task:
        """What a worker needs to know to run a trial; its scratch folder is locked from now on."""
        key = self.keys[index]
        if index not in self.scratch:
            self.scratch[index] = Scratch(self.store.folder / "scratch" / folder_name(key))
        return Task.of(
            self.study,
            self.trials[index],
            device=key.device,
            out=self.store.folder,
            scratch=self.scratch[index].path,
            code_version=key.code_version,
        )

    def hear(self, index: int, message: Message) -> None:
        """Record a trial that has finished, and pass on what is told of it."""
        kind, note = message["kind"], message.get("note", "")
        if kind == "finished":
            note = self.record(index, message)
        elif kind == "skipped":
            self.skipped.append((self.trials[index], note))
        elif kind == "failed":
            self.failures.append((self.trials[index], note))
        self.tell(index, kind, 1.0 if kind == "finished" else message.get("fraction", 0.0), note)

    def record(self, index: int, message: Message) -> str:
        """Commit a finished trial; only then its scratch folder goes. Returns why it diverged, if it did."""
        metrics = decode_metrics(message["metrics"])
        if index in self.scratch:  # told again after Ctrl-C, it may be gone
            keep_evidence(self.store.folder, self.keys[index], metrics, self.scratch[index].path)
        self.store.add(
            self.keys[index],
            self.trials[index],
            metrics,
            message["artifacts"],
            seconds=message["seconds"],
            environment={**self.environment, **message.get("environment", {})},
        )
        if index in self.scratch:
            self.scratch.pop(index).remove()
        return divergence(metrics)

    def tell(self, index: int, kind: str, fraction: float, note: str = "") -> None:
        """Let the listener know."""
        self.listen(Event(kind, self.trials[index], index, len(self.trials), fraction, note))

    def records(self) -> list[Record]:
        """All records of this run, in the order of its trials."""
        on_record = self.store.records(self.study.claim.name, self.scale)
        return [on_record[key] for key in self.keys if key in on_record]

    def progress_report(self) -> str:
        """One line for a run that was stopped."""
        on_record = self.store.records(self.study.claim.name, self.scale)
        done = sum(key in on_record for key in self.keys)
        return f"Stopped: {done} of {len(self.keys)} trials are on record."

    def release_scratch(self) -> None:
        """Leave the folders of unfinished trials to the next run."""
        while self.scratch:
            self.scratch.popitem()[1].release()
