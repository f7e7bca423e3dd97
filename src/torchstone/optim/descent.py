"""Many paths down one surface at once, each with an optimizer of its own."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.optim import Optimizer

from torchstone.optim.surfaces import Surface

Maker = Callable[[list[Tensor], float], Optimizer]  # (params, lr) to a new optimizer


@dataclass(frozen=True)
class Descent:
    """Where k paths went; one that stopped stays where it was from then on.

    ``stopped`` is the first step at which a path stands still for good: it had left a surface that has no minimum, or
    its next point or value was not finite (``diverged``). It is the number of steps + 1 for a path that never stopped.
    """

    paths: Float[Tensor, "k t 2"]
    values: Float[Tensor, "k t"]
    stopped: Int[Tensor, " k"]
    diverged: Bool[Tensor, " k"]


def descend(surface: Surface, makers: Sequence[tuple[Maker, float]], steps: int, *, seed: int = 0) -> Descent:
    """Run every optimizer for ``steps`` steps from the surface's start, all on the same clock.

    The gradients of all points are taken at once, in float64; on a noisy surface all see the same draw.

    Args:
        surface: what to go down.
        makers: an optimizer's maker and its learning rate, one a path.
        steps: t, how many.
        seed: of the draws of a noisy surface.
    """
    generator = torch.Generator().manual_seed(seed)
    points = torch.tensor([surface.start] * len(makers), dtype=torch.float64)  # (k, 2)
    slopes = torch.zeros_like(points)
    optimizers = [_attach(make, lr, *row) for (make, lr), *row in zip(makers, points, slopes, strict=True)]
    with torch.no_grad():
        values = surface.f(points)
        paths, heights = [points.clone()], [values]
        stopped = torch.full((len(makers),), steps + 1)
        diverged = torch.zeros(len(makers), dtype=torch.bool)
    for step in range(1, steps + 1):
        slopes.copy_(gradient(surface, points, generator))
        for path in (stopped > steps).nonzero().flatten().tolist():
            optimizers[path].step()
        with torch.no_grad():
            values = surface.f(points)
            going = stopped > steps
            bad = going & ~(points.isfinite().all(-1) & values.isfinite())
            points[bad], values = paths[-1][bad], torch.where(going & ~bad, values, heights[-1])
            out = torch.zeros_like(bad) if surface.bounded else going & ~bad & ~surface.holds(points)
            diverged |= bad
            stopped[bad | out] = step
            paths.append(points.clone())
            heights.append(values)
    return Descent(torch.stack(paths, 1), torch.stack(heights, 1), stopped, diverged)


def gradient(surface: Surface, points: Float[Tensor, "k 2"], generator: torch.Generator) -> Float[Tensor, "k 2"]:
    """What the rules follow at each point: the slope of f, or of one draw of a noisy surface."""
    with torch.enable_grad():
        leaf = points.detach().clone().requires_grad_()
        values = surface.f(leaf) if surface.noisy is None else surface.noisy(leaf, generator)
        (slope,) = torch.autograd.grad(values.sum(), leaf)
    return slope


def _attach(make: Maker, lr: float, point: Float[Tensor, "2"], slope: Float[Tensor, "2"]) -> Optimizer:
    """A new optimizer that moves one row of the points by one row of the slopes."""
    parameter = point.detach().requires_grad_()
    parameter.grad = slope
    optimizer: Any = make([parameter], lr)
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"A rule must make a torch.optim.Optimizer out of (params, lr), but made a {type(optimizer).__name__}."
        )
    if inspect.signature(optimizer.step).parameters["closure"].default is inspect.Parameter.empty:
        raise TypeError(
            f"{type(optimizer).__name__} evaluates the surface as often as it likes in one step, so that its steps "
            "cannot be raced against those of other rules. Race rules that take one gradient a step."
        )
    return optimizer
