"""Fitting a program: restarts, each by Adam and then, where nothing is random, by L-BFGS."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from torchstone.nets import seeded
from torchstone.programs.holes.deciders import COLD
from torchstone.programs.holes.objective import ALL_PATHS, Objective, called

HOT = 1.0


@dataclass(frozen=True)
class Restart:
    """One start: its seed (None: from the weights as they were), its loss in training, and after decisions are made.

    Args:
        seed: of its first weights.
        loss: mean over examples of what was minimised.
        hardened: mean loss where each example takes its likeliest path.
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
        told: for each real-valued hole how many directions the examples tell, and how many there are.
    """

    restarts: tuple[Restart, ...]
    branches: str
    truncated: float
    told: dict[str, tuple[int, int]]

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
        found.append(Restart(own, loss, called(objective.task)))
        kept.append(copy.deepcopy(bodies.state_dict()))
    bodies.load_state_dict(kept[min(range(restarts), key=lambda i: rankable(found[i]))])
    return found


def reset(bodies: nn.ModuleDict, seed: int) -> None:
    """Other first weights, for every module that knows how."""
    with seeded(seed):
        for module in bodies.modules():
            again = getattr(module, "reset_parameters", None)
            if callable(again):
                again()


def adam(bodies: nn.ModuleDict, objective: Objective, *, steps: int, lr: float, batch: int | None) -> None:
    """Steps of Adam on all examples, or on ``batch`` of them, drawn anew; it stops where the loss is no number."""
    n = len(objective.task.examples)
    parameters = trained(bodies)
    optimizer = torch.optim.Adam(parameters, lr)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        rows = range(n) if batch is None else torch.randperm(n, generator=objective.generator)[:batch].tolist()
        optimizer.zero_grad()
        loss = objective(rows, HOT * (COLD / HOT) ** (step / steps))
        if not loss.isfinite():
            return
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def polish(bodies: nn.ModuleDict, objective: Objective) -> None:
    """L-BFGS with a strong Wolfe line search; what it makes worse is undone."""
    rows = range(len(objective.task.examples))
    before = copy.deepcopy(bodies.state_dict())
    optimizer = torch.optim.LBFGS(
        trained(bodies), max_iter=100, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective(rows, COLD)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    start = float(optimizer.step(closure).detach())  # type: ignore[no-untyped-call]
    with torch.no_grad():
        end = float(objective(rows, COLD))
    if not end <= start:
        bodies.load_state_dict(before)


def trained(bodies: nn.ModuleDict) -> list[nn.Parameter]:
    """The parameters to move."""
    return [parameter for parameter in bodies.parameters() if parameter.requires_grad]
