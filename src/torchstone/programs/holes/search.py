"""Search: a program whose holes are all constants is tried with every combination of them."""

import math
from dataclasses import dataclass
from typing import cast

import torch

from torchstone.programs.holes.choices import Constant
from torchstone.programs.holes.deciders import Prefix
from torchstone.programs.holes.paths import TooManyPathsError, replayed
from torchstone.programs.holes.task import Task


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
    """Try all combinations on all examples, and settle the constants as in the best.

    Raises:
        ValueError: something is left to learn that is no constant, or there are too many combinations.
    """
    other = [name for name, body in task.bodies.items() if not isinstance(body, Constant)]
    if other:
        raise ValueError(
            f"search tries constants only (flag or choose without features, Choose), but {', '.join(map(repr, other))} "
            "must be learned: use fit, or freeze it inside the function."
        )
    groups = list(task.groups(range(len(task.examples))))

    def total(decider: Prefix) -> float:
        loss = sum(float(task.run(decider, group)[0].sum()) for group in groups)
        return math.inf if math.isnan(loss) else loss

    try:
        tried = replayed(total, most, max_steps)
    except TooManyPathsError:
        raise ValueError(
            f"There are more than most={most} combinations, or all have more than max_steps={max_steps} constants. "
            "Raise these, or use fit."
        ) from None
    best = min(loss for _, loss in tried)
    ties = [decider.constants for decider, loss in tried if loss == best]
    for body, index in ties[0].items():
        cast(Constant, body).settle(index)
    return Search(len(tried), best / len(task.examples), len(ties))
