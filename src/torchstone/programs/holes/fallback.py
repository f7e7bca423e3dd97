"""What is done where a program has too many paths to go through all: they are drawn, and that is said."""

import warnings
from dataclasses import replace
from itertools import islice

import torch

from torchstone.programs.holes.choices import Constant
from torchstone.programs.holes.objective import Branches
from torchstone.programs.holes.paths import TooManyPathsError, paths
from torchstone.programs.holes.task import Task


class FallbackWarning(UserWarning):
    """A program has too many paths to go through, so they are drawn."""


@torch.no_grad()
def excess(task: Task, max_paths: int, max_steps: int) -> TooManyPathsError | None:
    """What there is to say if an example has too many paths to go through; with vmap all have the same."""
    alone = task.alone()
    try:
        for group in islice(alone.singly(), 1 if task.batching == "vmap" else None):
            paths(alone, group, max_paths, max_steps)
    except TooManyPathsError as error:
        return error
    return None


def drawn_instead(task: Task, many: TooManyPathsError) -> tuple[Task, Branches]:
    """Draw paths where there are too many, and say so.

    Raises:
        TooManyPathsError: examples are stacked, so that they have no paths of their own.
    """
    if task.batching == "native":
        raise many
    search = " Only constants are open: search(examples) tries all of them." if all_constant(task) else ""
    warnings.warn(
        f"{many} Now paths are drawn.{search}", FallbackWarning, stacklevel=4
    )  # the caller of fit, above torch's decorator
    return replace(task, batching="none"), "sample"


def all_constant(task: Task) -> bool:
    """Whether what is open is decided alike in all examples, so that it can be searched."""
    return all(isinstance(body, Constant) for body in task.bodies.values())
