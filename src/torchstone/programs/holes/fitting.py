"""Fitting a program: restarts, each by Adam and then, where nothing is random, by L-BFGS."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchstone.nets import seeded
from torchstone.programs.holes.deciders import COLD
from torchstone.programs.holes.objective import ALL_PATHS, Objective
from torchstone.programs.holes.task import loss_as_called

HOT = 1.0


@dataclass(frozen=True)
class Restart:
    """One start: its seed (None: from the weights as they were), its loss in training, and after decisions are made.

    Args:
        seed: of its first weights.
        loss: mean over examples of what was minimised.
        hardened: mean loss where each example takes its likeliest path; infinite if one has more than ``max_steps``
            decisions.
    """

    seed: int | None
    loss: float
    hardened: float


@dataclass(frozen=True)
class Fit:
    """What came of a fit: every restart, never the best only.

    Args:
        restarts: all of them, in the order in which they ran.
        branches: what branches meant.
        truncated: the mean probability of paths that were left out, being too long.
        told: for each real-valued hole how many directions the examples tell, and how many there are; empty where a
            program has more than ``max_paths`` paths, also where these are drawn anyway.
        alike: holes with something to learn that no ``reset_parameters`` draws, so that all starts began alike there.
    """

    restarts: tuple[Restart, ...]
    branches: str
    truncated: float
    told: dict[str, tuple[int, int]]
    alike: tuple[str, ...] = ()

    @property
    def best(self) -> int:
        """Which restart was kept: that of the lowest loss after decisions are made."""
        return min(range(len(self.restarts)), key=lambda i: rankable(self.restarts[i]))

    @property
    def loss(self) -> float:
        """That of the best restart."""
        return self.restarts[self.best].loss

    @property
    def losses(self) -> tuple[float, ...]:
        """Those of all restarts."""
        return tuple(restart.loss for restart in self.restarts)

    def __str__(self) -> str:
        lines = ["restart  loss       hardened"]
        for i, restart in enumerate(self.restarts):
            lines.append(
                f"{i:<7}  {restart.loss:<9.3g}  {restart.hardened:<9.3g}{'  kept' * (i == self.best)}".rstrip()
            )
        for name, (own, directions) in self.told.items():
            if own < directions:
                lines.append(f"{own} of {directions} directions of hole {name!r} are told by the examples alone.")
        if self.alike and len(self.restarts) > 1:
            holes = ", ".join(map(repr, self.alike))
            lines.append(f"All starts began alike in {holes}, where parameters have no reset_parameters().")
        if self.truncated > 0:
            lines.append(f"{self.truncated:.2g} of the probability lies in paths that were too long.")
        return "\n".join(lines)


@dataclass(frozen=True)
class Hardened:
    """What it costs to decide: the mean loss before and after."""

    before: float
    after: float


def rankable(restart: Restart) -> tuple[float, float]:
    """Losses to compare, with NaN last."""
    return tuple(x if math.isfinite(x) else math.inf for x in (restart.hardened, restart.loss))  # type: ignore[return-value]


def fitted(
    bodies: nn.ModuleDict,
    objective: Objective,
    *,
    steps: int,
    restarts: int,
    lr: float,
    batch: int | None,
    seed: int,
) -> list[Restart]:
    """Train from several starts, and keep the best weights."""
    found: list[Restart] = []
    kept: list[dict[str, Any]] = []
    first = copy.deepcopy(bodies.state_dict())
    for i in range(restarts):
        own = None if i == 0 else seed + i
        bodies.load_state_dict(first)
        if own is not None:
            reset(bodies, own)
        adam(bodies, objective, steps=steps, lr=lr, batch=batch)
        if batch is None and objective.branches in (*ALL_PATHS, "mix"):
            polish(bodies, objective)
        with torch.no_grad():
            loss = float(objective(range(len(objective.task.examples)), COLD))
        found.append(Restart(own, loss, loss_as_called(objective.task, max_steps=objective.max_steps)))
        kept.append(copy.deepcopy(bodies.state_dict()))
    bodies.load_state_dict(kept[min(range(restarts), key=lambda i: rankable(found[i]))])
    return found


def reset(bodies: nn.ModuleDict, seed: int) -> None:
    """Other first weights, for every module that knows how; what is frozen stays."""
    with seeded(seed), torch.no_grad():
        for module in bodies.modules():
            again = getattr(module, "reset_parameters", None)
            if callable(again) and any(parameter.requires_grad for parameter in module.parameters()):
                frozen = [(p, p.clone()) for p in module.parameters() if not p.requires_grad]
                again()
                for parameter, before in frozen:
                    parameter.copy_(before)


def alike(bodies: nn.ModuleDict) -> tuple[str, ...]:
    """Holes with something to learn that :func:`reset` leaves as it is."""
    drawn = {p for module in bodies.modules() if hasattr(module, "reset_parameters") for p in module.parameters()}
    return tuple(name for name, body in bodies.items() if not drawn.issuperset(trainable(body)))


def adam(bodies: nn.ModuleDict, objective: Objective, *, steps: int, lr: float, batch: int | None) -> None:
    """Steps of Adam on all examples, or on ``batch`` of them, drawn anew; it stops where the loss is no number."""
    n = len(objective.task.examples)
    parameters = trainable(bodies)
    optimizer = torch.optim.Adam(parameters, lr)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        rows = range(n) if batch is None else torch.randperm(n, generator=objective.generator)[:batch].tolist()
        loss = objective(rows, HOT * (COLD / HOT) ** (step / steps))
        try:
            backward(loss, parameters)
        except FloatingPointError:
            return
        optimizer.step()


def polish(bodies: nn.ModuleDict, objective: Objective) -> None:
    """L-BFGS with a strong Wolfe line search; it is undone where it makes things worse, or meets no numbers."""
    rows, parameters = range(len(objective.task.examples)), trainable(bodies)
    before = copy.deepcopy(bodies.state_dict())
    optimizer = torch.optim.LBFGS(
        parameters, max_iter=100, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        return backward(objective(rows, COLD), parameters)

    try:
        start = float(optimizer.step(closure).detach())  # type: ignore[no-untyped-call]
        with torch.no_grad():
            end = float(objective(rows, COLD))
    except FloatingPointError:
        start, end = 0.0, math.inf
    if not end <= start:
        bodies.load_state_dict(before)


def backward(loss: Tensor, parameters: list[nn.Parameter]) -> Tensor:
    """Set the gradients, and return the loss.

    Raises:
        FloatingPointError: one of these is NaN or infinite.
        ValueError: the loss depends on no parameter.
    """
    if not loss.requires_grad:
        raise ValueError("What the program returns depends on no hole with something to learn: use their values.")
    for parameter in parameters:
        parameter.grad = None
    loss.backward()  # type: ignore[no-untyped-call]
    numbers = [loss, *(parameter.grad for parameter in parameters if parameter.grad is not None)]
    if not all(bool(x.isfinite().all()) for x in numbers):
        raise FloatingPointError
    return loss


def trainable(module: nn.Module) -> list[nn.Parameter]:
    """The parameters to move."""
    return [parameter for parameter in module.parameters() if parameter.requires_grad]


def check_trainable(bodies: nn.ModuleDict) -> None:
    """Something must be left to learn, in numbers that can hold a step of Adam.

    Raises:
        ValueError: nothing is left, or it is in float16, where Adam's ε of 10⁻⁸ is 0.
    """
    if not trainable(bodies):
        raise ValueError("There is nothing to learn: the program has no hole with a parameter, or all are frozen.")
    if any(parameter.dtype == torch.float16 for parameter in trainable(bodies)):
        raise ValueError(
            "Holes can't be learned in float16, where Adam divides by 0. Fit program.float() or .bfloat16()."
        )
