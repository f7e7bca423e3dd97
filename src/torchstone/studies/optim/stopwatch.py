"""How many steps a learning rule takes, from many starts at many learning rates at once; one tuner for all rules."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Make = Callable[[list[Tensor]], torch.optim.Optimizer]
Field = Callable[[Float[Tensor, "s r d"]], Float[Tensor, "s r d"]]
Goal = Callable[[Float[Tensor, "s r d"]], Bool[Tensor, "s r"]]


class Setting(NamedTuple):
    """What a tuner chose: the name of a maker, a learning rate, and the steps that its slowest start took."""

    name: str
    rate: float
    steps: float


def steps_until(
    goal: Goal,
    make: Make,
    gradient: Field,
    starts: Float[Tensor, "s d"],
    rates: Float[Tensor, " r"],
    *,
    limit: int,
    enough: Callable[[Bool[Tensor, "s r"]], Tensor] = torch.all,
) -> Float[Tensor, "s r"]:
    r"""After how many updates the goal is first reached, from every start at every learning rate.

    All of them are entries of one parameter of one optimizer. The rule moves :math:`y` by unit steps, and the point is
    :math:`x = \eta y`: a rule that looks at gradients only, and takes those of :math:`x`, moves :math:`x` exactly as
    it would at learning rate :math:`\eta`.

    Args:
        goal: tells which points have arrived.
        make: the optimizer, at learning rate 1, element-wise, without weight decay.
        gradient: of the function that is minimised, at every point.
        starts: where to begin.
        rates: the :math:`\eta`.
        limit: how many updates at most.
        enough: stop once this is true of what has been reached.

    Returns:
        The numbers of updates; infinite where the goal was not reached.
    """
    scale = rates[:, None]
    y = (starts[:, None] / scale).requires_grad_()
    optimizer = make([y])
    steps = torch.full(y.shape[:2], math.inf, dtype=starts.dtype)
    with torch.no_grad():
        for t in range(limit + 1):
            x = y * scale
            steps.masked_fill_(goal(x) & steps.isinf(), t)
            if enough(steps.isfinite()):
                break
            y.grad = gradient(x)
            optimizer.step()
    return steps


def tune(
    goal: Goal,
    makers: Mapping[str, Make],
    gradient: Field,
    starts: Float[Tensor, "s d"],
    rates: Float[Tensor, " r"],
    *,
    limit: int,
) -> Setting:
    """The maker and the learning rate whose slowest start arrives first; of equals the first, at the smallest rate.

    A setting that does not bring all starts to the goal within ``limit`` steps is never chosen unless none does: then
    it is the first maker at the smallest rate.
    """
    best = Setting(next(iter(makers)), float(rates[0]), math.inf)
    for name, make in makers.items():
        most = limit if math.isinf(best.steps) else int(best.steps) - 1
        steps = steps_until(goal, make, gradient, starts, rates, limit=most, enough=_one_rate_is_done)
        slowest, place = steps.amax(0).min(0)
        if slowest < best.steps:
            best = Setting(name, float(rates[place]), float(slowest))
    return best


def _one_rate_is_done(reached: Bool[Tensor, "s r"]) -> Tensor:
    return reached.all(0).any()
