"""Search: a program whose holes are all constants is tried with every combination of them."""

from dataclasses import dataclass

import torch

from torchstone.programs.holes.choices import Constant
from torchstone.programs.holes.examples import Task
from torchstone.programs.holes.objective import Path, paths


@dataclass(frozen=True)
class Search:
    """What a search found.

    Args:
        combinations: how many were tried; constants that a combination does not reach are not told apart.
        loss: the least mean loss.
        ties: how many combinations reach it.
    """

    combinations: int
    loss: float
    ties: int


@torch.no_grad()
def searched(task: Task, most: int, max_steps: int) -> Search:
    """Try all combinations, and settle the constants as in the best.

    Raises:
        ValueError: something is left to learn that is no constant, or there are too many combinations.
    """
    other = [name for name, body in task.bodies.items() if not isinstance(body, Constant)]
    if other:
        raise ValueError(
            f"search tries constants only (flag or choose without features, Choose), but {', '.join(map(repr, other))} "
            "must be learned: use fit, or freeze it inside the function."
        )
    totals: dict[tuple[tuple[Constant, int], ...], float] = {}
    for group in task.groups(range(len(task.examples))):
        for path in paths(task, group, most, max_steps):
            add(totals, path)
    best = min(totals.values())
    ties = [constants for constants, total in totals.items() if total == best]
    for body, index in ties[0]:
        body.settle(index)
    return Search(len(totals), best / len(task.examples), len(ties))


def add(totals: dict[tuple[tuple[Constant, int], ...], float], path: Path) -> None:
    """Count the losses of a path to its combination of constants."""
    decider, losses, _ = path
    combination = tuple(decider.constants.items())
    totals[combination] = totals.get(combination, 0.0) + float(losses.sum())  # type: ignore[index, arg-type]
