"""What examples show before training: which holes they reach, and with which arguments."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from torchstone.programs.holes.bodies import Curve
from torchstone.programs.holes.objective import AVERAGES, Branches
from torchstone.programs.holes.paths import TooManyPathsError, paths
from torchstone.programs.holes.repeatable import check_repeatable, duplicate, look
from torchstone.programs.holes.source import places
from torchstone.programs.holes.task import Task


class UnreachedError(ValueError):
    """No example reaches a hole."""


@dataclass
class Seen:
    """Which holes were called, and with what, if curves fill them."""

    names: set[str] = field(default_factory=set)
    arguments: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)

    def __call__(self, name: str, body: Any, arguments: tuple[Any, ...], value: Any) -> Any:
        """Note a call, and leave its value."""
        self.names.add(name)
        if isinstance(body, Curve):
            self.arguments.setdefault(name, []).append(duplicate(arguments))
        return value


@torch.no_grad()
def prepare(task: Task, branches: Branches, max_steps: int) -> list[Seen]:
    """Run the first example twice, then each once, open holes getting their bodies.

    Returns:
        What was seen in each example.

    Raises:
        NotRepeatableError: the second run differs.
    """
    task, seens = task.alone(), []
    for i, group in enumerate(task.singly()):
        if i == 0:
            check_repeatable(task, group, branches, max_steps)
        seens.append(Seen())
        look(task, group, branches, max_steps, seens[-1])
    return seens


@torch.no_grad()
def reaching(task: Task, seens: list[Seen], branches: Branches, max_paths: int, max_steps: int) -> list[int]:
    """Examples that together reach every hole in the source, and every body that was given, on some path.

    What is seen on the way is added to ``seens``. Where the source is not known, as at Python's prompt, all paths of
    all examples are gone through; with vmap those of one, since all have the same.

    Raises:
        UnreachedError: no example reaches one.
    """
    rows, reached = [0], set(seens[0].names)
    for row, seen in enumerate(seens):
        if seen.names - reached:
            rows.append(row)
            reached |= seen.names
    task, one_has_all = task.alone(), task.batching == "vmap"
    for row, group in enumerate(task.singly()):
        missing = {*task.bodies, *places(task.function)} - reached
        all_known = bool(places(task.function)) or (row > 0 and one_has_all)
        if branches in AVERAGES or (all_known and not missing):
            break
        try:
            paths(task, group, max_paths, max_steps, observer=seens[row], open=True)
        except TooManyPathsError:
            return rows
        if seens[row].names - reached:
            rows.append(row)
            reached |= seens[row].names
    if missing := {*task.bodies, *places(task.function)} - reached:
        raise UnreachedError(unreached(task.function, sorted(missing)))
    return rows


def unreached(function: Callable[..., Any], names: list[str]) -> str:
    """Which holes no example reaches, and where they stand."""
    known = places(function)
    which = ", ".join(f"{name!r}" + (f" ({known[name].where})" if name in known else "") for name in names)
    return (
        f"No example reaches {which} on any path, so nothing can be learned there. Give examples that do, or remove "
        "what is not used."
    )
