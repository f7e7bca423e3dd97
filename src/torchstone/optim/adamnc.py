"""AdamNC: Adam whose memory of squared gradients grows with time."""

from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors, denominator
from torchstone.optim.fused import fused_adam


class AdamNC(ElementwiseOptimizer):
    r"""Adam with :math:`\beta_{2,t} = 1 - 1/t`, whose step sizes can only shrink, so that it converges.

    .. math:: m_t = \beta_{1,t} m_{t-1} + (1 - \beta_{1,t}) g_t, \quad \beta_{1,t} = \beta_1 \lambda^{t-1}, \qquad
              v_t = \frac{1}{t} \sum_{i \le t} g_i^2, \qquad
              x_t = x_{t-1} - \alpha_t \frac{m_t}{\sqrt{v_t} + \epsilon}

    With :math:`\alpha_t = \alpha / \sqrt{t}` (:class:`InverseSqrt`) this is Adagrad with momentum:
    :math:`\alpha m_t / \sqrt{\sum g_i^2}`. A parameter that first gets a gradient late begins at its own t = 1.

    Args:
        params: parameters, or groups of them.
        lr: :math:`\alpha_t`; the corollary's needs :class:`InverseSqrt` beside it.
        beta1: :math:`\beta_1`, in [0, 1).
        beta1_decay: :math:`\lambda`, in (0, 1]; the corollary needs it below 1.
        eps: :math:`\epsilon`; 0 is the paper's.
        weight_decay: coupled L2: ``weight_decay`` · x is added to the gradient.
        maximize: go up instead of down.
        impl: ``"fused"`` is one kernel; ``"for"`` and ``"foreach"`` are plain formulas; ``"auto"`` is the fastest.

    Raises:
        ValueError: a hyperparameter is out of range.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> optimizer = AdamNC([x], lr=0.5)
    >>> for _ in range(3):
    ...     optimizer.zero_grad()
    ...     x.square().backward()
    ...     optimizer.step()
    >>> round(optimizer.state[x]["exp_avg_sq"].item(), 3)  # the mean of the three squared gradients
    34.472

    Paper: Reddi, Kale, Kumar 2018, arXiv:1904.09237, algorithm 3 and corollary 2.
    Differs from the paper: ``beta1_decay`` is 1 unless given; ``eps``. In float32 the mean stops to follow new
        gradients at about t = 10⁷.
    """

    has_fused = True

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        beta1: float = 0.9,
        *,
        beta1_decay: float = 1.0,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        defaults = {"lr": lr, "beta1": beta1, "beta1_decay": beta1_decay, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"maximize": maximize, "impl": impl})

    def states(self, group: Group) -> tuple[str, ...]:
        """Both moments."""
        return ("exp_avg", "exp_avg_sq")

    def update(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """The equations."""
        (m, v), (beta1, beta2) = states, betas_at(group, time)
        torch._foreach_lerp_(m, g, 1 - beta1)
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, g, g, value=1 - beta2)
        torch._foreach_addcdiv_(x, m, denominator(v, group["eps"]), value=-float(group["lr"]))

    def fused(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> bool:
        """Fused Adam with the betas of this step, uncorrected."""
        return fused_adam(group, x, g, *states, lr=float(group["lr"]), betas=betas_at(group, time))


def betas_at(group: dict[str, Any], t: int) -> tuple[float, float]:
    """β₁ λ^(t-1) and 1 - 1/t."""
    return group["beta1"] * group["beta1_decay"] ** (t - 1), 1 - 1 / t
