"""Adam and AMSGrad as Keras computes them: ε is added before the correction, not after it."""

import torch
from torch.optim.optimizer import ParamsT

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors, denominator
from torchstone.optim.fused import fused_adam


class EpsilonHatAdam(ElementwiseOptimizer):
    r"""Adam in the shorter form of its paper, whose :math:`\hat\epsilon` is not that of the algorithm.

    .. math:: x_t = x_{t-1} - \alpha \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m_t}{\sqrt{v_t} + \hat\epsilon}

    which is Adam with :math:`\epsilon_t = \hat\epsilon / \sqrt{1 - \beta_2^t}`: 32 times larger in the first step.

    Args:
        params: parameters, or groups of them.
        lr: :math:`\alpha`.
        betas: :math:`\beta_1, \beta_2`, in [0, 1).
        eps: :math:`\hat\epsilon`.
        weight_decay: coupled L2: ``weight_decay`` · x is added to the gradient.
        amsgrad: divide by the largest :math:`v` so far, uncorrected.
        maximize: go up instead of down.
        impl: ``"fused"`` is one kernel; ``"for"`` and ``"foreach"`` are plain formulas; ``"auto"`` is the fastest.

    Raises:
        ValueError: a hyperparameter is out of range.

    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> x.grad = torch.tensor([2.0])
    >>> EpsilonHatAdam([x], lr=0.1, eps=0.0).step()
    >>> x
    tensor([2.9000], requires_grad=True)

    Paper: Kingma, Ba 2015, arXiv:1412.6980, end of section 2; AMSGrad: Reddi, Kale, Kumar 2018, arXiv:1904.09237.
    Differs from the paper: nothing.
    """

    has_fused = True

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-7,
        weight_decay: float = 0.0,
        *,
        amsgrad: bool = False,
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"amsgrad": amsgrad, "maximize": maximize, "impl": impl})

    def states(self, group: Group) -> tuple[str, ...]:
        """Both moments, and the largest second one."""
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if group["amsgrad"] else ("exp_avg", "exp_avg_sq")

    def update(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """The equations."""
        (m, v, *largest), (beta1, beta2) = states, group["betas"]
        torch._foreach_lerp_(m, g, 1 - beta1)
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, g, g, value=1 - beta2)
        for top in largest:
            torch._foreach_maximum_(top, v)
        root = denominator(largest[0] if largest else v, group["eps"])
        lr = float(group["lr"]) * (1 - beta2**time) ** 0.5 / (1 - beta1**time)
        torch._foreach_addcdiv_(x, m, root, value=-lr)

    def fused(self, group: Group, time: int, x: Tensors, g: Tensors, *states: Tensors) -> bool:
        """Fused Adam with the ε of this step."""
        m, v, *largest = states
        beta1, beta2 = group["betas"]
        scaled = group | {"eps": group["eps"] / (1 - beta2**time) ** 0.5}
        top = largest[0] if largest else ()
        return fused_adam(scaled, x, g, m, v, lr=float(group["lr"]), betas=(beta1, beta2), t=time, largest=top)
