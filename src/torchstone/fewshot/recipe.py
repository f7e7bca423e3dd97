"""How an embedding is trained: stochastic gradient descent and its schedule."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR, OneCycleLR

from torchstone.training import Player
from torchstone.training.player import Objective

Schedule = Literal["step", "cosine", "one-cycle"]


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum, and how its learning rate falls.

    Args:
        rate: the learning rate; with ``one-cycle`` its peak.
        momentum: in [0, 1).
        weight_decay: of all parameters of the model, 0 or more.
        batch_size: images in a step.
        schedule: ``"step"`` for a tenth after 60 % of the steps and again after 80 %; ``"cosine"`` down to a
            thousandth; ``"one-cycle"`` up over 30 % of the steps and down again.

    Raises:
        ValueError: a number is out of range, or there is no such schedule.

    >>> Recipe(rate=0.2, schedule="one-cycle").batch_size
    64

    Paper: Tian, Wang, Krishnan, Tenenbaum, Isola 2020, arXiv:2003.11539, section 4.1 (``Recipe()``).
    Differs from the paper: ``one-cycle`` is ours, for short trainings.
    """

    rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 64
    schedule: Schedule = "step"

    def __post_init__(self) -> None:
        if not 0 < self.rate < float("inf") or not 0 <= self.momentum < 1 or not 0 <= self.weight_decay < float("inf"):
            raise ValueError(
                "`rate` must be positive, `momentum` lie in [0, 1) and `weight_decay` be 0 or more, but they are "
                f"{self.rate}, {self.momentum} and {self.weight_decay}."
            )
        if self.batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1, but is {self.batch_size}.")
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"`schedule` must be one of {', '.join(get_args(Schedule))}, but is {self.schedule!r}.")

    def player(self, model: nn.Module, objective: Objective, steps: int) -> Player:
        """A player that moves all parameters of ``model`` so for ``steps`` steps."""
        optimizer = SGD(model.parameters(), self.rate, self.momentum, weight_decay=self.weight_decay)
        return Player(model, objective, optimizer, scheduler=self.scheduler(optimizer, steps))

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        """The schedule over ``steps`` steps."""
        if self.schedule == "step":
            return MultiStepLR(optimizer, [round(0.6 * steps), round(0.8 * steps)])
        if self.schedule == "cosine":
            return CosineAnnealingLR(optimizer, steps, eta_min=self.rate * 1e-3)
        return OneCycleLR(optimizer, self.rate, total_steps=steps + 1, cycle_momentum=False)
