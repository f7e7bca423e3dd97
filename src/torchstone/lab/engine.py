"""Where trials run: what the runner asks of an engine, and the plainest one, this process."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from torchstone.lab.environment import checked_device, describe_environment
from torchstone.lab.study import Study
from torchstone.lab.task import Message, Task, Tell, TellOf


class EngineError(ValueError):
    """The place where trials should run is not there, or cannot run these; the message says how to mend it."""


class Engine(Protocol):
    """Runs trials somewhere: in this process, in processes of this machine, on a cluster."""

    def prepare(self, study: Study, device: str) -> tuple[str, Mapping[str, str]]:
        """The full name of ``device``, and what the trials will be computed with, by name.

        Raises:
            ValueError: this engine cannot run this study on this device.
        """

    def perform(self, study: Study, indices: Sequence[int], task_of: Callable[[int], Task], tell: TellOf) -> None:
        """Run the tasks ``task_of(index)`` of ``study``, each as :func:`torchstone.lab.worker.perform` does.

        ``tell(index, message)`` is called in this thread: with ``started``, then ``progress``, then one of ``finished``
        (its tensors lie at their place below ``task.out`` by then), ``skipped`` and ``failed``. A task whose process
        dies gets one more chance. When anything is raised here, Ctrl-C included, all that was begun is ended.
        """


@dataclass
class Chances:
    """Who has lost a process: a trial may lose one, which is the machine's fault; two are its own."""

    lost: set[int] = field(default_factory=set)

    def after_death(self, index: int, ending: str) -> Message | None:
        """``None`` when trial ``index`` gets another chance, else the message that it has failed."""
        if index not in self.lost:
            self.lost.add(index)
            return None
        note = f"The process that ran this trial died twice; the second {ending}"
        return {"kind": "failed", "note": f"{note}\n(SIGKILL often means: out of memory.)"}


class ThisProcess:
    """The trials one by one in this process, with its threads; a study need not be importable."""

    def prepare(self, study: Study, device: str) -> tuple[str, Mapping[str, str]]:
        """See :class:`Engine`."""
        import torch

        if study.processes > 1:
            check_importable(study, "let it have processes = 1")
        device = checked_device(device)
        return device, describe_environment(device=device, jobs=0, threads=torch.get_num_threads())

    def perform(self, study: Study, indices: Sequence[int], task_of: Callable[[int], Task], tell: TellOf) -> None:
        """See :class:`Engine`."""
        chances = Chances()
        for index in indices:
            ending: Message | None = None
            while ending is None:
                tell(index, {"kind": "started"})
                ending = _attempt(study, task_of(index), partial(tell, index))
                if ending["kind"] == "died":
                    ending = chances.after_death(index, ending["note"])
            try:
                tell(index, ending)
            except KeyboardInterrupt:
                tell(index, ending)  # what has finished is kept
                raise


def _attempt(study: Study, task: Task, tell: Tell) -> Message:
    """Run a trial; returns how it ended."""
    from torchstone.lab.worker import perform

    endings: list[Message] = []
    perform(
        task,
        lambda message: tell(message) if message["kind"] == "progress" else endings.append(message),
        lambda task: study,
    )
    return endings[0]


def check_importable(study: Study, otherwise: str) -> None:
    """Refuse a study that another process cannot import.

    Raises:
        ValueError: it is defined in ``__main__`` or in a function.
    """
    kind = type(study)
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        raise ValueError(
            f"The study {kind.__qualname__} cannot be imported by other processes: define it at the top of a "
            f"module of its own, or {otherwise}."
        )
