"""AMSGrad: Adam whose second moment never shrinks, in its three variants."""

from typing import Literal, get_args

import torch
from torch.optim.optimizer import ParamsT

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors, denominator
from torchstone.optim.fused import UNCORRECTED, fused_adam

BiasCorrection = Literal["none", "after_max", "before_max"]


class AMSGrad(ElementwiseOptimizer):
    r"""Adam divided by the largest second moment so far, which makes it converge.

    .. math:: m_t = \beta_1 m_{t-1} + (1 - \beta_1) g_t, \qquad v_t = \beta_2 v_{t-1} + (1 - \beta_2) g_t^2, \qquad
              \hat v_t = \max(\hat v_{t-1}, v_t), \qquad x_t = x_{t-1} - \alpha \frac{m_t}{\sqrt{\hat v_t} + \epsilon}

    ``bias_correction`` says what happens to the averages' start at 0:

    * ``"none"``: nothing, as in the paper;
    * ``"after_max"``: :math:`m_t / (1 - \beta_1^t)` and :math:`\hat v_t / (1 - \beta_2^t)`, as in torch. The
      quotient may shrink, so the paper's guarantee is lost in the first steps;
    * ``"before_max"``: :math:`\hat v_t = \max(\hat v_{t-1}, v_t / (1 - \beta_2^t))`, as in optax.

    Args:
        params: parameters, or groups of them.
        lr: :math:`\alpha`.
        betas: :math:`\beta_1, \beta_2`, in [0, 1).
        eps: :math:`\epsilon`; 0 is the paper's.
        weight_decay: coupled L2: ``weight_decay`` · x is added to the gradient.
        bias_correction: ``"none"``, ``"after_max"`` or ``"before_max"``.
        maximize: go up instead of down.
        impl: ``"fused"`` is one kernel (not for ``"before_max"``); ``"for"`` and ``"foreach"`` are plain formulas;
            ``"auto"`` is the fastest.

    Raises:
        ValueError: a hyperparameter is out of range.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> x.grad = torch.tensor([2.0])
    >>> AMSGrad([x], lr=0.1, betas=(0.9, 0.99), eps=0.0).step()
    >>> x  # moved by 0.1 · (0.1 · 2) / √(0.01 · 4)
    tensor([2.9000], requires_grad=True)

    Paper: Reddi, Kale, Kumar 2018, arXiv:1904.09237, algorithm 2.
    Differs from the paper: :math:`\beta_1` is constant; ``eps`` is not 0 unless given; projection is
        :func:`torchstone.optim.project`.
    """

    has_fused = True

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        bias_correction: BiasCorrection = "none",
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        if bias_correction not in get_args(BiasCorrection):
            raise ValueError(
                f"bias_correction must be 'none', 'after_max' or 'before_max', but it is {bias_correction!r}."
            )
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"bias_correction": bias_correction, "maximize": maximize, "impl": impl})

    def states(self, group: Group) -> tuple[str, ...]:
        """Both moments, and the largest second one."""
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def update(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """The equations."""
        (m, v, largest), (beta1, beta2) = states, group["betas"]
        torch._foreach_lerp_(m, g, 1 - beta1)
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, g, g, value=1 - beta2)
        correction1, correction2 = corrections(group, time)
        before = group["bias_correction"] == "before_max"
        torch._foreach_maximum_(largest, torch._foreach_div(v, correction2) if before else v)
        corrected = largest if before else torch._foreach_div(largest, correction2)
        torch._foreach_addcdiv_(x, m, denominator(corrected, group["eps"]), value=-float(group["lr"]) / correction1)

    def fused(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> bool:
        """Fused Adam with maxima, corrected or not."""
        if group["bias_correction"] == "before_max":
            return False
        m, v, largest = states
        t = UNCORRECTED if group["bias_correction"] == "none" else time
        return fused_adam(group, x, g, m, v, lr=float(group["lr"]), betas=tuple(group["betas"]), t=t, largest=largest)


def corrections(group: Group, t: int) -> tuple[float, float]:
    """1 - βᵗ of both moments, or 1 where they are not corrected."""
    if group["bias_correction"] == "none":
        return 1.0, 1.0
    beta1, beta2 = group["betas"]
    return 1 - beta1**t, 1 - beta2**t
