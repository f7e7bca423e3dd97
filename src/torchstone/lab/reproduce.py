"""Running one recorded trial again, from its record alone: do the bits agree, and if not, what differs?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torchstone.lab.differences import THREADS, Difference, metric_differences, surroundings, tensor_differences
from torchstone.lab.encoding import decode_metrics, digest
from torchstone.lab.environment import checked_device, describe_environment
from torchstone.lab.plan import SEEDS_PER_BLOCK, planned_trials
from torchstone.lab.pool import perform_in_processes
from torchstone.lab.recorded import Recorded
from torchstone.lab.study import Study
from torchstone.lab.task import Message, Task
from torchstone.lab.version import code_version


@dataclass(frozen=True)
class Reproduction:
    """A recorded trial and what came of running it again.

    Args:
        recorded: the record.
        threads: how many it ran with, then and now.
        bits: metrics and tensors that differ in any bit; empty when all agree.
        surroundings: versions, code, machine: what differs from when it was recorded.
        seconds: wall-clock seconds of the trial, now.
    """

    recorded: Recorded
    threads: int
    bits: Sequence[Difference]
    surroundings: Sequence[Difference]
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether every bit of the outcome is as it was recorded."""
        return not self.bits


class NotReproducibleError(RuntimeError):
    """A recorded trial cannot be run here: its code has changed, its device or its data is not there, or it failed."""


def reproduce(
    recorded: Recorded, study: Study, *, tell: Callable[[Message], None] = lambda message: None
) -> Reproduction:
    """Run a recorded trial again, in a fresh process with the recorded number of threads, and compare the outcomes.

    Nothing is written to the store that ``recorded`` comes from.

    Args:
        recorded: a record, from :func:`torchstone.lab.recorded.find_record`.
        study: the study of its claim as it is now, which can be imported by another process.
        tell: called with the messages of the trial, ``started``, ``progress`` and its end.

    Returns:
        What differs: metrics are compared as bits (NaN agrees with NaN), tensors by the SHA-256 of their file.

    Raises:
        NotReproducibleError: the trial cannot be run.
    """
    index = _place(recorded, study)
    device = _device(recorded)
    threads = int(recorded.origin.environment.get(THREADS, "1"))
    around = surroundings(recorded, code_version(study), describe_environment(device=device, jobs=1, threads=threads))
    with TemporaryDirectory(prefix="torchstone-") as folder:
        task = _task(recorded, study, index, device, Path(folder))
        message = _performed(task, threads, tell, around)
        now = decode_metrics(message["metrics"])
        bits = metric_differences(recorded.record.metrics, now)
        bits += tensor_differences(recorded, message["artifacts"], Path(folder))
    return Reproduction(recorded, threads, bits, around, message["seconds"])


def _place(recorded: Recorded, study: Study) -> int:
    """Where the recorded trial stands among those that the study plans."""
    key, then = recorded.key, recorded.origin.environment
    wanted = (key.arm, key.seed, key.config_hash)
    planned = planned_trials(study, key.scale, key.seed // SEEDS_PER_BLOCK) if key.scale in study.scales else []
    for index, trial in enumerate(planned):
        if (trial.arm, trial.seed, digest(trial.config)) == wanted:
            return index
    raise NotReproducibleError(
        f"The study '{key.study}' no longer has this trial ({key.arm}, seed {key.seed}, scale {key.scale}): its "
        f"code has changed since, from version {key.code_version} to {code_version(study)}. To run it again, go back "
        f"to the code that recorded it: torchstone {then.get('torchstone', '?')}, commit {then.get('commit', '?')}."
    )


def _device(recorded: Recorded) -> str:
    try:
        return checked_device(recorded.key.device)
    except ValueError as error:
        raise NotReproducibleError(f"The trial was recorded on another device. {error}") from error


def _task(recorded: Recorded, study: Study, index: int, device: str, folder: Path) -> Task:
    key, kind, scratch = recorded.key, type(study), folder / "scratch"
    scratch.mkdir()
    return Task(
        module=kind.__module__,
        qualname=kind.__qualname__,
        scale=key.scale,
        block=key.seed // SEEDS_PER_BLOCK,
        index=index,
        config_hash=key.config_hash,
        device=device,
        out=str(folder),
        scratch=str(scratch),
    )


def _performed(task: Task, threads: int, tell: Callable[[Message], None], around: Sequence[Difference]) -> Message:
    """The last message of the trial; where it has none to compare, ``around`` may tell why."""
    messages: list[Message] = []

    def hear(index: int, message: Message) -> None:
        messages.append(message)
        tell(message)

    perform_in_processes([0], lambda index: task, 1, threads, hear)
    last = messages[-1]
    if last["kind"] != "finished":
        changed = ", ".join(f"{each.what} (was {each.recorded}, is {each.now})" for each in around) or "nothing"
        ended = "failed" if last["kind"] == "failed" else "could not be run"
        raise NotReproducibleError(
            f"The trial {ended} when it was started again. "
            f"What has changed since it was recorded: {changed}.\n{last['note']}"
        )
    return last
