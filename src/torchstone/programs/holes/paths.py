"""All paths through a program, by replay: it is run again and again, each time with decisions of its own."""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import Tensor

from torchstone.programs.holes.deciders import Prefix, TooLongError
from torchstone.programs.holes.examples import Example
from torchstone.programs.holes.task import Task

T = TypeVar("T")


class TooManyPathsError(ValueError):
    """A program has more paths than may be enumerated."""


def replayed(run: Callable[[Prefix], T], max_paths: int, max_steps: int) -> list[tuple[Prefix, T]]:
    """What a run gives on every path.

    It runs again and again, each time along a prefix of decisions that an earlier run did not take.

    Raises:
        TooManyPathsError: there are more than ``max_paths``, or all are too long.
    """
    waiting: list[tuple[int, ...]] = [()]
    found: list[tuple[Prefix, T]] = []
    too_long = 0
    while waiting:
        if max(len(found), too_long) == max_paths:
            raise TooManyPathsError(
                f"The program has more than max_paths={max_paths} paths. Raise max_paths, use branches='sample', or "
                "branches='mix' with select."
            )
        decider = Prefix(waiting.pop(), max_steps=max_steps)
        try:
            found.append((decider, run(decider)))
        except TooLongError:
            too_long += 1
        waiting.extend(decider.others)
    if not found:
        raise TooManyPathsError(f"Every path has more than max_steps={max_steps} decisions. Raise max_steps.")
    return found


def paths(task: Task, group: Example, max_paths: int, max_steps: int, **options: Any) -> list[tuple[Tensor, Tensor]]:
    """The losses (b,) and log-probabilities (b,) of every path."""
    cache: dict[Any, Any] | None = {} if task.batching != "vmap" else None
    ran = replayed(lambda decider: task.run(decider, group, cache=cache, **options), max_paths, max_steps)
    return [result for _, result in ran]
