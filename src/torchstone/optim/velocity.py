"""Momentum as its papers and Keras compute it: the step size goes into the buffer."""

import torch
from torch.optim.optimizer import ParamsT

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors


class Velocity(ElementwiseOptimizer):
    r"""Gradient descent with momentum, whose buffer holds steps and not gradients.

    .. math:: b_t = \mu b_{t-1} + \alpha_t g_t, \qquad x_t = x_{t-1} - b_t, \qquad
              \text{nesterov: } x_t = x_{t-1} - (\mu b_t + \alpha_t g_t)

    ``torch.optim.SGD`` has :math:`b_t = \mu b_{t-1} + g_t` and :math:`x_t = x_{t-1} - \alpha_t b_t`, which is the same
    while :math:`\alpha_t` is constant. When it drops, torch's momentum drops with it at once, this one's does not.

    Args:
        params: parameters, or groups of them.
        lr: :math:`\alpha_t`.
        momentum: :math:`\mu`, in [0, 1).
        weight_decay: coupled L2: ``weight_decay`` · x is added to the gradient.
        nesterov: take the step of the look-ahead; x is then the look-ahead point of the textbook form.
        maximize: go up instead of down.
        impl: ``"for"``, ``"foreach"``, or ``"auto"``, the fastest.

    Raises:
        ValueError: a hyperparameter is out of range.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> optimizer = Velocity([x], lr=0.1, momentum=0.5)
    >>> for _ in range(2):
    ...     x.grad = torch.tensor([2.0])
    ...     optimizer.step()
    >>> x  # moved by 0.2 and by 0.1 + 0.2
    tensor([2.5000], requires_grad=True)

    Paper: Sutskever, Martens, Dahl, Hinton 2013, "On the importance of initialization and momentum in deep learning",
        ICML, equations 1 to 4; Polyak 1964; Nesterov 1983.
    Differs from the paper: nesterov is written at the look-ahead point, which is an exact change of variables while
        :math:`\mu` is constant.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        *,
        nesterov: bool = False,
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"nesterov": nesterov, "maximize": maximize, "impl": impl})

    def states(self, group: Group) -> tuple[str, ...]:
        """The step."""
        return ("momentum_buffer",)

    def update(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """The equations."""
        (buffer,), lr = states, float(group["lr"])
        torch._foreach_mul_(buffer, group["momentum"])
        torch._foreach_add_(buffer, g, alpha=lr)
        if group["nesterov"]:
            torch._foreach_add_(x, buffer, alpha=-group["momentum"])
            torch._foreach_add_(x, g, alpha=-lr)
        else:
            torch._foreach_sub_(x, buffer)
