"""Step sizes that shrink with the step."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler


class InverseSqrt(LRScheduler):
    r"""The step size of the regret bounds.

    .. math:: \alpha_t = \alpha / \sqrt{t}, \qquad t = 1, 2, ...

    Each step multiplies the learning rate by :math:`\sqrt{t / (t + 1)}`, so it composes with other schedulers of the
    same optimizer.

    Args:
        optimizer: whose ``lr`` is :math:`\alpha`; call :meth:`step` after each of its steps.
        last_epoch: steps already taken minus 1, to go on with a run; -1 at the beginning.

    >>> import torch
    >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = InverseSqrt(optimizer)
    >>> for t in (1, 2, 3):
    ...     print(t, round(optimizer.param_groups[0]["lr"], 4))
    ...     optimizer.step()
    ...     scheduler.step()
    1 1.0
    2 0.7071
    3 0.5774

    Paper: Zinkevich 2003, "Online convex programming and generalized infinitesimal gradient ascent", ICML, theorem 1;
        Reddi, Kale, Kumar 2018, arXiv:1904.09237, theorem 4.
    Differs from the paper: nothing.
    """

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:  # type: ignore[override]
        """The learning rates of this step, from those of the one before."""
        t = self.last_epoch + 1
        shrink = ((t - 1) / t) ** 0.5 if t > 1 else 1.0
        return [group["lr"] * shrink for group in self.optimizer.param_groups]
