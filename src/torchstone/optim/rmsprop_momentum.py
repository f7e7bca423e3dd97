"""RMSProp with momentum, in the forms that go by this name."""

from typing import Literal, get_args

import torch
from torch.optim.optimizer import ParamsT

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors, directed
from torchstone.optim.blocks import blocks
from torchstone.optim.fused import available, fused_adam
from torchstone.optim.rmsprop import plain, root_mean_square, scaled_gradient

MomentumMode = Literal["preconditioned", "torch", "velocity", "ema"]


class RMSPropMomentum(ElementwiseOptimizer):
    r"""RMSProp whose steps gather momentum.

    With :math:`v_t = \rho v_{t-1} + (1 - \rho) g_t^2` and :math:`r_t = g_t / (\sqrt{v_t} + \epsilon)`,
    ``momentum_mode`` is one of

    * ``"preconditioned"``: heavy ball on scaled gradients, :math:`b_t = \mu b_{t-1} + r_t`,
      :math:`x_t = x_{t-1} - \alpha b_t`. ``"torch"`` is another name for it: ``torch.optim.RMSprop`` does the same;
    * ``"velocity"``: the step size goes into the buffer, :math:`b_t = \mu b_{t-1} + \alpha_t r_t`,
      :math:`x_t = x_{t-1} - b_t`, as in Graves's paper, Keras and optax. It differs from the first only while
      :math:`\alpha_t` changes;
    * ``"ema"``: Adam without bias correction, :math:`b_t = \mu b_{t-1} + (1 - \mu) g_t`,
      :math:`x_t = x_{t-1} - \alpha b_t / (\sqrt{v_t} + \epsilon)`.

    Args:
        params: parameters, or groups of them.
        lr: :math:`\alpha`.
        alpha: :math:`\rho`, by torch's name, in [0, 1).
        eps: :math:`\epsilon`.
        weight_decay: coupled L2: ``weight_decay`` · x is added to the gradient.
        momentum: :math:`\mu`, in [0, 1).
        momentum_mode: ``"preconditioned"``, ``"torch"``, ``"velocity"`` or ``"ema"``.
        centered: divide by the running standard deviation, :math:`v_t - \bar g_t^2` in place of :math:`v_t`.
        eps_in_root: :math:`\sqrt{v_t + \epsilon}` in place of :math:`\sqrt{v_t} + \epsilon`.
        maximize: go up instead of down.
        impl: ``"fused"`` uses Adam's kernel (not for ``centered`` and ``eps_in_root``); ``"for"`` and ``"foreach"``
            are plain formulas; ``"auto"`` is the fastest.

    Raises:
        ValueError: a hyperparameter is out of range.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> optimizer = RMSPropMomentum([x], lr=0.01, alpha=0.99, momentum=0.5)
    >>> x.grad = torch.tensor([2.0])
    >>> optimizer.step()
    >>> x
    tensor([2.9000], requires_grad=True)

    Paper: Graves 2013, arXiv:1308.0850, equations 38 to 41.
    Differs from the paper: the paper's is ``momentum_mode="velocity", centered=True, eps_in_root=True``.
    """

    has_fused = True

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.9,
        *,
        momentum_mode: MomentumMode = "preconditioned",
        centered: bool = False,
        eps_in_root: bool = False,
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        if momentum_mode not in get_args(MomentumMode):
            raise ValueError(
                f"momentum_mode must be 'preconditioned', 'torch', 'velocity' or 'ema', but it is {momentum_mode!r}."
            )
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay, "momentum": momentum}
        flags = {"centered": centered, "eps_in_root": eps_in_root, "maximize": maximize, "impl": impl}
        super().__init__(params, defaults | {"momentum_mode": momentum_mode} | flags)

    def states(self, group: Group) -> tuple[str, ...]:
        """The buffer, the second moment, and the first where it is subtracted."""
        names = ("momentum_buffer", "square_avg")
        return (*names, "grad_avg") if group["centered"] else names

    def update(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """The equations."""
        buffer, *averages = states
        root = root_mean_square(group, g, *averages)
        if group["momentum_mode"] == "ema":
            torch._foreach_lerp_(buffer, g, 1 - group["momentum"])
            torch._foreach_addcdiv_(x, buffer, root, value=-float(group["lr"]))
            return
        gain, rate = rates(group)
        torch._foreach_mul_(buffer, group["momentum"])
        torch._foreach_addcdiv_(buffer, g, root, value=gain)
        torch._foreach_add_(x, buffer, alpha=-rate)

    def fused(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> bool:
        """Fused Adam: on the parameter for the average's mode, otherwise on the buffer, with the opposite sign."""
        if not plain(group):
            return False
        buffer, v = states
        if group["momentum_mode"] == "ema":
            betas = (group["momentum"], group["alpha"])
            return fused_adam(group, x, g, buffer, v, lr=float(group["lr"]), betas=betas)
        return self._fused_buffer(group, x, directed(group, x, g), buffer, v)

    def _fused_buffer(self, group: Group, x: Tensors, g: Tensors, buffer: Tensors, v: Tensors) -> bool:
        if not available(x[0].device.type, x[0].dtype):
            return False
        gain, rate = rates(group)
        for block in blocks([*zip(x, g, buffer, v, strict=True)]):
            some_x, some_g, some_buffer, some_v = zip(*block, strict=True)
            torch._foreach_mul_(some_buffer, group["momentum"])
            scaled_gradient(group, some_buffer, some_g, some_v, lr=-gain)
            torch._foreach_add_(some_x, some_buffer, alpha=-rate)
        return True


def rates(group: Group) -> tuple[float, float]:
    """What scaled gradients are multiplied by in the buffer, and the buffer on its way to the parameters."""
    lr = float(group["lr"])
    return (lr, 1.0) if group["momentum_mode"] == "velocity" else (1.0, lr)
