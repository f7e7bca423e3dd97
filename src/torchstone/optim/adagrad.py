"""Adagrad as Keras and optax compute it: ε inside the root, and a sum that does not begin at 0."""

import torch
from torch.optim.optimizer import ParamsT

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors, denominator


class AdagradInRoot(ElementwiseOptimizer):
    r"""The gradient divided by the root of the sum of all its squares.

    .. math:: s_t = s_{t-1} + g_t^2, \quad s_0 = \delta, \qquad x_t = x_{t-1} - \alpha \frac{g_t}{\sqrt{s_t + \epsilon}}

    Args:
        params: parameters, or groups of them.
        lr: :math:`\alpha`.
        eps: :math:`\epsilon`.
        weight_decay: coupled L2: ``weight_decay`` · x is added to the gradient.
        initial_accumulator_value: :math:`\delta`.
        maximize: go up instead of down.
        impl: ``"for"``, ``"foreach"``, or ``"auto"``, the fastest.

    Raises:
        ValueError: a hyperparameter is out of range.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> x.grad = torch.tensor([2.0])
    >>> AdagradInRoot([x], lr=0.1, initial_accumulator_value=0.0).step()
    >>> x
    tensor([2.9000], requires_grad=True)

    Paper: Duchi, Hazan, Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization",
        JMLR 12, figure 1.
    Differs from the paper: :math:`\epsilon` and :math:`\delta` are in the root. ``torch.optim.Adagrad`` is the paper's.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        eps: float = 1e-7,
        weight_decay: float = 0.0,
        *,
        initial_accumulator_value: float = 0.1,
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        defaults = {"lr": lr, "eps": eps, "weight_decay": weight_decay}
        super().__init__(
            params,
            defaults | {"initial_accumulator_value": initial_accumulator_value, "maximize": maximize, "impl": impl},
        )

    def states(self, group: Group) -> tuple[str, ...]:
        """The sum of squares."""
        return ("sum",)

    def start(self, group: Group) -> float:
        """The sum begins at δ."""
        return float(group["initial_accumulator_value"])

    def update(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """The equations."""
        (s,) = states
        torch._foreach_addcmul_(s, g, g)
        torch._foreach_addcdiv_(x, g, denominator(s, group["eps"], in_root=True), value=-float(group["lr"]))
