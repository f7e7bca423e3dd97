"""Where a hole was trained, and a warning where it is called elsewhere."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from torchstone.programs.holes.bodies import Curve, broadcast
from torchstone.programs.holes.deciders import Likeliest, Mean
from torchstone.programs.holes.examples import Task
from torchstone.programs.holes.survey import Seen


class ExtrapolationWarning(UserWarning):
    """A hole is called with arguments outside the range in which it was trained."""


def columns(arguments: tuple[Any, ...], body: Curve) -> Tensor:
    """The arguments of a call, (n, inputs)."""
    return broadcast(arguments, body.get_buffer("center")).detach().reshape(-1, body.inputs)


def set_scales(bodies: nn.ModuleDict, seen: Seen, known: Mapping[str, Tensor]) -> None:
    """Standardise the arguments of curves that were not trained before."""
    for name, calls in seen.arguments.items():
        body = bodies[name]
        if isinstance(body, Curve) and name not in known and len(calls[0]) == body.inputs:
            body.set_scale(torch.cat([columns(arguments, body) for arguments in calls]))


def ranges(task: Task, averages: bool) -> dict[str, Tensor]:
    """The least and the largest argument of each curve, (2, inputs), where the trained program calls it."""
    seen, task = Seen(), task.alone()
    with torch.no_grad():
        for group in task.singly():
            task.output(Mean() if averages else Likeliest(), group[0], observer=seen)
    found = {}
    for name, calls in seen.arguments.items():
        body = task.bodies[name]
        if isinstance(body, Curve):
            x = torch.cat([columns(arguments, body) for arguments in calls])
            found[name] = torch.stack([x.amin(0), x.amax(0)])
    return found


def outside(name: str, x: Tensor, known: Tensor) -> None:
    """Warn of the first argument outside the range."""
    low, high = known.to(x)
    wrong = (x < low) | (x > high)
    if wrong.any():
        row, j = wrong.nonzero()[0].tolist()
        warnings.warn(
            f"hole {name!r} trained on [{float(low[j]):.3g}, {float(high[j]):.3g}], called with {float(x[row, j]):.3g}",
            ExtrapolationWarning,
            stacklevel=5,
        )
