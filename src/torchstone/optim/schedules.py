"""Step sizes that shrink with the step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class InverseSqrt(LRScheduler):
    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        t = self.last_epoch + 1
        shrink = 1.0 if t == 1 else ((t - 1) / t) ** 0.5
        return [group["lr"] * shrink for group in self.optimizer.param_groups]
