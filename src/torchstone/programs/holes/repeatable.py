"""Does a program do the same when it runs again? Replay needs that."""

from typing import Any

import numpy as np
from torch import Tensor

from torchstone.programs.holes.bodies import Poly
from torchstone.programs.holes.deciders import Decider, Mean, Prefix, TooLongError
from torchstone.programs.holes.examples import Example
from torchstone.programs.holes.objective import AVERAGES, Branches
from torchstone.programs.holes.run import Observer
from torchstone.programs.holes.task import Task


class NotRepeatableError(ValueError):
    """A program does something else when it runs again with the same arguments and decisions."""


def look(task: Task, group: Example, branches: Branches, max_steps: int, observer: Observer) -> Any:
    """What the program returns while somebody looks on and nobody draws; None if that takes too many decisions."""
    decider: Decider = Mean() if branches in AVERAGES else Prefix(max_steps=max_steps)
    try:
        return task.output(decider, group[0], observer=observer, open=True)
    except TooLongError:
        return None


def check_repeatable(task: Task, group: Example, branches: Branches, max_steps: int) -> None:
    """Two runs with the same decisions must do the same."""
    first, second = (logged(task, group, branches, max_steps) for _ in range(2))
    for (name, *one), (again, *two) in zip(first, second, strict=False):
        if name != again or not same(one, two):
            where = f"at hole {name!r}" if name else "in what it returns"
            raise NotRepeatableError(
                f"The program is not repeatable: run twice on the first example with the same decisions, it differs "
                f"{where}. Paths are gone through by running it again, so it must not draw random numbers (dropout "
                "does, unless the program is in eval mode), change globals, or read what changes."
            )


def logged(task: Task, group: Example, branches: Branches, max_steps: int) -> list[tuple[str, Any, Any]]:
    """What the holes of a run are given and give, and last what the program returns.

    Raises:
        NotRepeatableError: the program changes its arguments.
    """
    log: list[tuple[str, Any, Any]] = []

    def note(name: str, body: Any, arguments: tuple[Any, ...], value: Any) -> Any:
        log.append((name, duplicate(arguments), duplicate(value)))
        return value + 1 if isinstance(body, Poly) else value  # it begins at 0, which would hide its factors

    inputs, target = duplicate(group)
    output = look(task, (inputs, target), branches, max_steps, note)
    if not same(inputs, group[0]):
        raise NotRepeatableError(
            "The program is not repeatable: it changes its arguments. Paths are gone through by running it again, so "
            "it must work on copies: x = x + 1 instead of x += 1."
        )
    return [*log, ("", (), output)]


def duplicate(value: Any) -> Any:
    """A copy of tensors and arrays, and of what holds them."""
    if isinstance(value, Tensor | np.ndarray):
        return value.clone() if isinstance(value, Tensor) else value.copy()
    if type(value) in (list, tuple):
        return type(value)(map(duplicate, value))
    return {key: duplicate(x) for key, x in value.items()} if type(value) is dict else value


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal to the bit; NaN is equal to NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Tensor | np.ndarray):
        return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
    return a is b or bool(a == b) or (a != a and b != b)
