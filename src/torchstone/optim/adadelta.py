"""Adadelta: steps as large as recent steps, so that no step size has to be chosen."""

import torch
from torch.optim.optimizer import ParamsT

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors


class Adadelta(ElementwiseOptimizer):
    r"""The gradient scaled by the ratio of recent steps to recent gradients.

    .. math:: s_t = \rho s_{t-1} + (1 - \rho) g_t^2, \qquad
              d_t = \frac{\sqrt{u_{t-1} + \epsilon}}{\sqrt{s_t + \epsilon}} g_t, \qquad
              u_t = \rho u_{t-1} + (1 - \rho) d_t^2, \qquad x_t = x_{t-1} - \alpha d_t

    Torch, Keras and optax compute the same; this one does it block by block in the processor's cache.

    Args:
        params: parameters, or groups of them.
        lr: :math:`\alpha`; 1 is the paper's.
        rho: :math:`\rho`, in [0, 1).
        eps: :math:`\epsilon`. The first steps are about :math:`\sqrt\epsilon`; with 0 nothing ever moves.
        weight_decay: coupled L2: ``weight_decay`` · x is added to the gradient.
        maximize: go up instead of down.
        impl: ``"for"``, ``"foreach"``, or ``"auto"``, the fastest.

    Raises:
        ValueError: a hyperparameter is out of range.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> x.grad = torch.tensor([2.0])
    >>> Adadelta([x], rho=0.75, eps=1e-4).step()  # √ε / √(0.25 · 4 + ε) · 2
    >>> x
    tensor([2.9800], requires_grad=True)

    Paper: Zeiler 2012, arXiv:1212.5701, algorithm 1.
    Differs from the paper: ``lr``.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        defaults = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"maximize": maximize, "impl": impl})

    def states(self, group: Group) -> tuple[str, ...]:
        """Mean squares of gradients and of steps."""
        return ("square_avg", "acc_delta")

    def update(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """The equations."""
        (s, u), rho, eps = states, group["rho"], group["eps"]
        torch._foreach_mul_(s, rho)
        torch._foreach_addcmul_(s, g, g, value=1 - rho)
        d = torch._foreach_add(u, eps)
        torch._foreach_div_(d, torch._foreach_add(s, eps or torch.finfo(s[0].dtype).tiny))
        torch._foreach_sqrt_(d)
        torch._foreach_mul_(d, g)
        torch._foreach_mul_(u, rho)
        torch._foreach_addcmul_(u, d, d, value=1 - rho)
        torch._foreach_add_(x, d, alpha=-float(group["lr"]))
