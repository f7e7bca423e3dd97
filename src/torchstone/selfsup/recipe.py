"""How a pretext task is trained: stochastic gradient descent and its schedule."""

from dataclasses import dataclass
from typing import Literal, get_args

from torch import nn
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from torchstone.training import Player
from torchstone.training.player import Objective

Schedule = Literal["cosine", "paper"]
DROPS = tuple(epoch / 1500 for epoch in (240, 480, 640, 800))


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov's momentum, and how its learning rate falls.

    Args:
        rate: the first learning rate.
        momentum: in (0, 1).
        weight_decay: of all parameters, 0 or more.
        batch_size: images in a step.
        schedule: ``"cosine"`` down to 0; ``"paper"`` for a fifth after 16, 32, 43 and 53 % of the steps (epochs 240,
            480, 640 and 800 of 1500).

    Raises:
        ValueError: a number is out of range, or there is no such schedule.

    >>> Recipe(batch_size=512, schedule="paper").rate
    0.1

    Paper: Zhang, Qi, Wang, Luo 2019, arXiv:1901.04596, section 5.1 and the released code.
    Differs from the paper: batches of 128, not 512, by default; cosine by default; ``"paper"`` stays at its last rate,
        where the paper's goes down to 0 over the last third.
    """

    rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch_size: int = 128
    schedule: Schedule = "cosine"

    def __post_init__(self) -> None:
        if not 0 < self.rate < float("inf") or not 0 < self.momentum < 1 or not 0 <= self.weight_decay < float("inf"):
            raise ValueError(
                "`rate` must be positive, `momentum` lie in (0, 1) and `weight_decay` be 0 or more, but they are "
                f"{self.rate}, {self.momentum} and {self.weight_decay}."
            )
        if self.batch_size < 2:
            raise ValueError(f"`batch_size` must be at least 2 for batch normalisation, but is {self.batch_size}.")
        if self.schedule not in get_args(Schedule):
            raise ValueError(f"`schedule` must be one of {', '.join(get_args(Schedule))}, but is {self.schedule!r}.")

    def player(self, model: nn.Module, objective: Objective, steps: int) -> Player:
        """A player that moves all parameters of ``model`` so for ``steps`` steps."""
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = SGD(parameters, self.rate, self.momentum, weight_decay=self.weight_decay, nesterov=True)
        return Player(model, objective, optimizer, scheduler=self.scheduler(optimizer, steps))

    def scheduler(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        """The schedule over ``steps`` steps."""
        if self.schedule == "paper":
            return MultiStepLR(optimizer, [round(part * steps) for part in DROPS], gamma=0.2)
        return CosineAnnealingLR(optimizer, steps)
