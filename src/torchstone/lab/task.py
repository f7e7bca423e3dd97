"""What goes to a worker and what comes back: a trial as plain values, and messages as dictionaries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Message = dict[str, Any]
Tell = Callable[[Message], None]
TellOf = Callable[[int, Message], None]  # the index of a trial, and what is told of it


@dataclass(frozen=True)
class Task:
    """A trial as plain values, from which a worker finds it again: ``index`` is its place in ``study.trials``.

    ``code_version`` is that of the driver's code, unchecked when empty; ``away`` says that this is no process of the
    driver's machine, so that what it computes with is told with the outcome.
    """

    module: str
    qualname: str
    scale: str
    block: int
    index: int
    config_hash: str
    device: str
    out: str
    scratch: str
    code_version: str = ""
    away: bool = False
