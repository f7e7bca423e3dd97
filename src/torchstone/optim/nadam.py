"""Nadam: Adam with Nesterov's look-ahead, in its three schedules."""

from typing import Literal, NamedTuple, get_args

import torch
from torch.optim.optimizer import ParamsT

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors, denominator, directed
from torchstone.optim.blocks import blocks
from torchstone.optim.fused import available, fused_adam

Schedule = Literal["dozat", "constant", "paper"]


class Nadam(ElementwiseOptimizer):
    r"""Adam that takes the step of the next momentum already now.

    .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \qquad
              x_t = x_{t-1} - \frac{\alpha}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon} \left(
              \frac{\mu_{t+1} m_t}{1 - \prod_{i \le t+1} \mu_i} + \frac{(1 - \mu_t) g_t}{1 - \prod_{i \le t} \mu_i}
              \right)

    ``schedule`` says what :math:`\mu_t` is:

    * ``"dozat"``: :math:`\mu_t = \beta_1 (1 - 0.96^{t \psi} / 2)`, as in torch (:math:`\psi = 0.004`) and Keras 3
      (:math:`\psi = 1`);
    * ``"constant"``: :math:`\mu_t = \beta_1`, as in optax and TensorFlow 1;
    * ``"paper"``: as ``"dozat"``, with :math:`\mu_t` also in :math:`m_t = \mu_t m_{t-1} + (1 - \mu_t) g_t`, and
      :math:`v_t` multiplied by :math:`\beta_2` where it is corrected.

    Args:
        params: parameters, or groups of them.
        lr: :math:`\alpha`.
        betas: :math:`\beta_1, \beta_2`, in [0, 1).
        eps: :math:`\epsilon`.
        weight_decay: coupled L2: ``weight_decay`` · x is added to the gradient.
        momentum_decay: :math:`\psi`, 0 or more; with 0, :math:`\mu_t = \beta_1 / 2`.
        schedule: ``"dozat"``, ``"constant"`` or ``"paper"``.
        maximize: go up instead of down.
        impl: ``"fused"`` uses Adam's kernel (not for the paper's schedule); ``"for"`` and ``"foreach"`` are plain
            formulas; ``"auto"`` is the fastest.

    Raises:
        ValueError: a hyperparameter is out of range.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> x.grad = torch.tensor([2.0])
    >>> Nadam([x], lr=0.1, betas=(0.5, 0.9), schedule="constant").step()
    >>> x  # moved by 0.1 · (0.5 · 1 / 0.75 + 0.5 · 2 / 0.5) / 2
    tensor([2.8667], requires_grad=True)

    Paper: Dozat 2016, "Incorporating Nesterov Momentum into Adam", ICLR workshop, algorithm 2.
    Differs from the paper: unless ``schedule`` is ``"paper"``, the moment's own coefficient is the constant
        :math:`\beta_1`, though the correction is that of :math:`\mu_t`, and :math:`v_t / (1 - \beta_2^t)` lacks the
        paper's factor :math:`\beta_2`.
    """

    has_fused = True

    def __init__(
        self,
        params: ParamsT,
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        *,
        schedule: Schedule = "dozat",
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        if schedule not in get_args(Schedule):
            raise ValueError(f"schedule must be 'dozat', 'constant' or 'paper', but it is {schedule!r}.")
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(
            params,
            defaults | {"momentum_decay": momentum_decay, "schedule": schedule, "maximize": maximize, "impl": impl},
        )

    def states(self, group: Group) -> tuple[str, ...]:
        """Both moments."""
        return ("exp_avg", "exp_avg_sq")

    def advance(self, group: Group, state: Group) -> "Time":
        """Count a step, and multiply the product of the momenta."""
        state["step"] += 1
        t = state["step"]
        mu, mu_next = momentum_at(group, t), momentum_at(group, t + 1)
        state["mu_product"] = product = state.get("mu_product", 1.0) * mu
        return Time(t, mu, mu_next, product)

    def update(self, group: Group, time: "Time", x: Tensors, g: Tensors, *states: Tensors) -> None:
        """The equations."""
        (m, v), (beta1, beta2) = states, group["betas"]
        paper = group["schedule"] == "paper"
        torch._foreach_lerp_(m, g, 1 - (time.mu if paper else beta1))
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, g, g, value=1 - beta2)
        correction = (1 - beta2**time.t) / (beta2 if paper and beta2 else 1)
        root = denominator(torch._foreach_div(v, correction), group["eps"])
        lr = float(group["lr"])
        torch._foreach_addcdiv_(x, g, root, value=-lr * (1 - time.mu) / (1 - time.product))
        torch._foreach_addcdiv_(x, m, root, value=-lr * time.mu_next / (1 - time.product * time.mu_next))

    def fused(self, group: Group, time: "Time", x: Tensors, g: Tensors, *states: Tensors) -> bool:
        r"""Fused Adam, whose moment is made the whole direction for a moment.

        The direction :math:`p m_t + q g_t` is :math:`(p + q) (b m_{t-1} + (1 - b) g_t)` with
        :math:`b = \beta_1 p / (p + q)`: what the kernel computes with :math:`b` in place of :math:`\beta_1`. Then
        :math:`m_t` is recovered from what it leaves.
        """
        beta1, beta2 = group["betas"]
        if group["schedule"] == "paper" or beta1 == 0 or not available(x[0].device.type, x[0].dtype):
            return False
        p, q = time.mu_next / (1 - time.product * time.mu_next), (1 - time.mu) / (1 - time.product)
        b = beta1 * p / (p + q)
        lr = float(group["lr"]) * (p + q) * (1 - b**time.t)
        plain = {"eps": group["eps"], "weight_decay": 0.0, "maximize": False}
        for block in blocks([*zip(x, directed(group, x, g), *states, strict=True)]):
            some_x, some_g, m, v = zip(*block, strict=True)
            fused_adam(plain, some_x, some_g, m, v, lr=lr, betas=(b, beta2), t=time.t)
            torch._foreach_mul_(m, beta1 / b)
            torch._foreach_add_(m, some_g, alpha=1 - beta1 - (1 - b) * beta1 / b)
        return True


class Time(NamedTuple):
    """The step t of a parameter, μ of this step and of the next, and the product of all up to this one."""

    t: int
    mu: float
    mu_next: float
    product: float


def momentum_at(group: Group, t: int) -> float:
    """The scheduled momentum μ of step t."""
    beta1: float = group["betas"][0]
    if group["schedule"] == "constant":
        return beta1
    return float(beta1 * (1 - 0.5 * 0.96 ** (t * group["momentum_decay"])))
