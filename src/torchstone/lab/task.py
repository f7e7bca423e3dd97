"""What goes to a worker and what comes back: a trial as plain values, and messages as dictionaries."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torchstone.lab.encoding import to_json
from torchstone.lab.study import Study, Trial

Message = dict[str, Any]
Tell = Callable[[Message], None]
TellOf = Callable[[int, Message], None]  # the index of a trial, and what is told of it


@dataclass(frozen=True)
class Task:
    """A trial as plain values, with all that a worker needs to run it; ``config`` is JSON.

    ``code_version`` is that of the driver's code, unchecked when empty; ``away`` says that this is no process of the
    driver's machine, so that what it computes with is told with the outcome.
    """

    module: str
    qualname: str
    arm: str
    seed: int
    config: str
    device: str
    out: str
    scratch: str
    code_version: str = ""
    away: bool = False

    @classmethod
    def of(cls, study: Study, trial: Trial, *, device: str, out: Path, scratch: Path, code_version: str = "") -> "Task":
        """The task to run ``trial`` of ``study``, with its tensors below ``out`` and its checkpoints in ``scratch``."""
        what = (type(study).__module__, type(study).__qualname__, trial.arm, trial.seed, to_json(trial.config))
        return cls(*what, device, str(out), str(scratch), code_version)

    @property
    def trial(self) -> Trial:
        """The trial, equal to the one that was planned."""
        return Trial(self.arm, self.seed, json.loads(self.config))
