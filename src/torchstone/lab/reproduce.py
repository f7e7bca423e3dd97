"""Running one recorded trial again, from its record alone: do the bits agree, and if not, what differs?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from torchstone.lab.differences import THREADS, Difference, metric_differences, surroundings, tensor_differences
from torchstone.lab.encoding import decode_metrics
from torchstone.lab.environment import checked_device, describe_environment
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
    device = _device(recorded)
    threads = int(recorded.origin.environment.get(THREADS, "1"))
    around = surroundings(recorded, code_version(study), describe_environment(device=device, jobs=1, threads=threads))
    with TemporaryDirectory(prefix="torchstone-", ignore_cleanup_errors=True) as folder:  # a rank may still write there
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        task = Task.of(study, recorded.record.trial, device=device, out=Path(folder), scratch=scratch)
        message = _performed(task, threads, tell, recorded, around)
        now = decode_metrics(message["metrics"])
        bits = metric_differences(recorded.record.metrics, now)
        bits += tensor_differences(recorded, message["artifacts"], Path(folder))
    return Reproduction(recorded, threads, bits, around, message["seconds"])


def _device(recorded: Recorded) -> str:
    try:
        return checked_device(recorded.key.device)
    except ValueError as error:
        raise NotReproducibleError(f"The trial was recorded on another device. {error}") from error


def _performed(
    task: Task, threads: int, tell: Callable[[Message], None], recorded: Recorded, around: Sequence[Difference]
) -> Message:
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
        then = recorded.origin.environment
        raise NotReproducibleError(
            f"The trial {ended} when it was started again. What has changed since it was recorded: {changed}. "
            f"It was recorded by torchstone {then.get('torchstone', '?')}, commit {then.get('commit', '?')}; where the "
            f"code has changed, go back to that to run it again.\n{last['note']}"
        )
    return last
