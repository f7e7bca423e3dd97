"""Where a hole was trained, and a warning where it is called elsewhere."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from torchstone.programs.holes.bodies import Curve, broadcast
from torchstone.programs.holes.container import Bodies
from torchstone.programs.holes.deciders import TooLongError, as_called
from torchstone.programs.holes.survey import Seen
from torchstone.programs.holes.task import Task

ROUNDING = 64
"""Units of the last digit by which an argument may differ when the same example runs alone or among others."""


class ExtrapolationWarning(UserWarning):
    """A hole is called with arguments outside the range in which it was trained."""


def columns(arguments: tuple[Any, ...], body: Curve) -> Tensor:
    """The arguments of a call, (n, inputs)."""
    return broadcast(arguments, body.get_buffer("center")).detach().reshape(-1, body.inputs)


def trained(body: nn.Module) -> bool:
    """Whether it is known where this curve was trained."""
    return isinstance(body, Curve) and not bool(body.get_buffer("valid").isnan().any())


def curves_called(bodies: Bodies, seens: Sequence[Seen]) -> Iterator[tuple[Curve, Tensor]]:
    """Each curve that was called, with the arguments of all its calls, (n, inputs)."""
    for name, body in bodies.every().items():
        calls = [arguments for seen in seens for arguments in seen.arguments.get(name, ())]
        if isinstance(body, Curve) and calls:
            yield body, torch.cat([columns(arguments, body) for arguments in calls])


def set_scales(bodies: Bodies, seens: Sequence[Seen]) -> None:
    """Standardise the arguments of curves that were not trained before, and that are not frozen."""
    for body, x in curves_called(bodies, seens):
        if not trained(body) and any(parameter.requires_grad for parameter in body.parameters()):
            body.set_scale(x)


@torch.no_grad()
def set_ranges(task: Task, seens: Sequence[Seen], *, averages: bool, max_steps: int) -> None:
    """Note the least and the largest arguments of each curve where the trained program calls it.

    If it never does on its likeliest paths, they are those of ``seens``, what was seen before the training.
    """
    called, task = Seen(), task.alone()
    for group in task.singly():
        with suppress(TooLongError):
            task.output(as_called(averages, max_steps), group[0], observer=called)
    for source in (seens, [called]):
        for body, x in curves_called(task.bodies, source):
            body.get_buffer("valid").copy_(torch.stack([x.amin(0), x.amax(0)]))


def warn_outside(name: str, body: Any, arguments: tuple[Any, ...], value: Any) -> Any:
    """Warn of the first argument outside the range, and leave the value; nothing is said inside ``torch.vmap``.

    Functions of torch are not watched here: for :func:`torchstone.smoothness.check` this is no part of the program.
    """
    if not isinstance(body, Curve):
        return value
    with torch._C.DisableTorchFunction():
        x, (low, high) = columns(arguments, body), body.get_buffer("valid")
        slack = ROUNDING * torch.finfo(x.dtype).eps * torch.maximum(low.abs(), high.abs())
        with suppress(RuntimeError):  # of vmap, which lets nobody look at values
            for row, j in ((x < low - slack) | (x > high + slack)).nonzero()[:1].tolist():
                warnings.warn(
                    f"hole {name!r} trained on [{float(low[j]):.3g}, {float(high[j]):.3g}], called with "
                    f"{float(x[row, j]):.3g}",
                    ExtrapolationWarning,
                    stacklevel=5,
                )
    return value
