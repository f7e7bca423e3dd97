"""RMSProp: the gradient divided by its own recent size."""

import torch
from torch.optim.optimizer import ParamsT

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors, denominator, directed
from torchstone.optim.fused import fused_adam


class RMSProp(ElementwiseOptimizer):
    r"""The gradient divided by a running root mean square of it.

    .. math:: v_t = \rho v_{t-1} + (1 - \rho) g_t^2, \qquad x_t = x_{t-1} - \alpha \frac{g_t}{\sqrt{v_t} + \epsilon}

    There is no bias correction: the first step is :math:`\alpha / \sqrt{1 - \rho}`, ten times :math:`\alpha` for
    :math:`\rho = 0.99`. Adam's kernel computes it (β₁ = 0, uncorrected), at least twice as fast as torch's own.

    Args:
        params: parameters, or groups of them.
        lr: :math:`\alpha`.
        alpha: :math:`\rho`, by torch's name, in [0, 1).
        eps: :math:`\epsilon`.
        weight_decay: coupled L2: ``weight_decay`` · x is added to the gradient.
        centered: divide by the running standard deviation, :math:`v_t - \bar g_t^2` in place of :math:`v_t`.
        eps_in_root: :math:`\sqrt{v_t + \epsilon}` in place of :math:`\sqrt{v_t} + \epsilon`.
        maximize: go up instead of down.
        impl: ``"fused"`` is one kernel (not for ``centered`` and ``eps_in_root``); ``"for"`` and ``"foreach"`` are
            plain formulas; ``"auto"`` is the fastest.

    Raises:
        ValueError: a hyperparameter is out of range.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> x.grad = torch.tensor([2.0])
    >>> RMSProp([x], lr=0.01, alpha=0.99).step()
    >>> x
    tensor([2.9000], requires_grad=True)

    Paper: Tieleman, Hinton 2012, "Lecture 6.5: rmsprop", COURSERA: Neural Networks for Machine Learning.
    Differs from the paper: ``eps``; ``alpha`` is 0.99, torch's, not 0.9.
    """

    has_fused = True

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        centered: bool = False,
        eps_in_root: bool = False,
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        flags = {"centered": centered, "eps_in_root": eps_in_root, "maximize": maximize, "impl": impl}
        super().__init__(params, defaults | flags)

    def states(self, group: Group) -> tuple[str, ...]:
        """The second moment, and the first where it is subtracted."""
        return ("square_avg", "grad_avg") if group["centered"] else ("square_avg",)

    def update(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """The equations."""
        root = root_mean_square(group, g, *states)
        torch._foreach_addcdiv_(x, g, root, value=-float(group["lr"]))

    def fused(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> bool:
        """Fused Adam with β₁ = 0: the first moment is the gradient itself."""
        return plain(group) and scaled_gradient(group, x, directed(group, x, g), states[0], lr=float(group["lr"]))


def root_mean_square(group: Group, g: Tensors, v: Tensors, *mean: Tensors) -> Tensors:
    """The denominator, with the averages brought up to date."""
    torch._foreach_mul_(v, group["alpha"])
    torch._foreach_addcmul_(v, g, g, value=1 - group["alpha"])
    for average in mean:
        torch._foreach_lerp_(average, g, 1 - group["alpha"])
        v = torch._foreach_addcmul(v, average, average, value=-1)
        torch._foreach_clamp_min_(v, 0.0)
    return denominator(v, group["eps"], group["eps_in_root"])


def plain(group: Group) -> bool:
    """Whether Adam's kernel knows the denominator."""
    return not group["centered"] and not (group["eps_in_root"] and group["eps"])


def scaled_gradient(group: Group, x: Tensors, g: Tensors, v: Tensors, *, lr: float) -> bool:
    """x -= lr · g / (√v + ε) by one kernel; ``g`` already has its direction and decay."""
    undirected = {"eps": group["eps"], "weight_decay": 0.0, "maximize": False}
    return fused_adam(undirected, x, g, g, v, lr=lr, betas=(0.0, group["alpha"]))
