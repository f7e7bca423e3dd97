"""What theory promises of a learning rule's regret, computed from the gradients of a run."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def amsgrad_bound(
    gradients: Float[Tensor, "t s"],
    *,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    diameter: float = 2.0,
) -> Float[Tensor, " s"]:
    r"""An upper bound on AMSGrad's regret with step sizes :math:`\alpha_t = \alpha/\sqrt t`.

    .. math:: R_T \le \frac{D^2 \sqrt T}{\alpha (1 - \beta_1)} \hat v_T^{1/2}
              + \frac{D^2}{2 (1 - \beta_1)} \sum_{t=1}^{T} \frac{\beta_1 \hat v_t^{1/2}}{\alpha_t}
              + \frac{\alpha \sqrt{1 + \ln T}}{(1 - \beta_1)^2 (1 - \gamma) \sqrt{1 - \beta_2}} \|g_{1:T}\|_2

    with :math:`\hat v_t = \max_{s \le t} v_s`, :math:`v_t` the average of squares that AMSGrad keeps, without
    correction, and :math:`\gamma = \beta_1/\sqrt{\beta_2}`. It grows as :math:`\sqrt{T \log T}` for
    :math:`\beta_1 = 0`; a constant :math:`\beta_1 > 0` makes the second term grow as :math:`T^{3/2}`, so that the bound
    says nothing about long runs. It holds; it is not tight.

    Args:
        gradients: :math:`g_t`, (t, s), a column a seed; for linear losses they are the coefficients.
        lr: :math:`\alpha`.
        betas: :math:`\beta_1` and :math:`\beta_2`.
        diameter: :math:`D`, the length of the box.

    Returns:
        The bound for each column, in the unit of the loss.

    Raises:
        ValueError: there is no gradient or one that is complex or not finite, ``lr`` or ``diameter`` is not positive,
            or ``betas`` do not have :math:`0 \le \beta_1 < \sqrt{\beta_2} < 1`.

    Example:
        >>> slopes = torch.ones(100, 1, dtype=torch.float64)
        >>> amsgrad_bound(slopes, lr=1.0, betas=(0.0, 0.99)).round(decimals=1)
        tensor([268.6000], dtype=torch.float64)

    Paper: Reddi, Kale, Kumar 2018, arXiv:1904.09237, Theorem 4 for a single coordinate.
    Differs from the paper: :math:`\beta_1` is constant. For one that varies, Phuong and Phong 2019, arXiv:1904.03590,
        found a gap in the proof.
    """
    beta1, beta2 = betas
    _check(gradients, lr, beta1, beta2, diameter)
    g = gradients.detach().double()
    root = _largest_second_moments(g, beta2).sqrt()  # (t, s)
    t = torch.arange(1, len(g) + 1, dtype=g.dtype, device=g.device)
    drift = diameter**2 * math.sqrt(len(g)) / (lr * (1 - beta1)) * root[-1]
    memory = diameter**2 / (2 * (1 - beta1)) * (beta1 * root * t.sqrt()[:, None] / lr).sum(0)
    spread = (1 - beta1) ** 2 * (1 - beta1 / math.sqrt(beta2)) * math.sqrt(1 - beta2)
    noise = lr * math.sqrt(1 + math.log(len(g))) / spread * g.square().sum(0).sqrt()
    return drift + memory + noise


def _largest_second_moments(g: Float[Tensor, "t s"], beta2: float) -> Float[Tensor, "t s"]:
    from scipy.signal import lfilter

    moments = lfilter([1 - beta2], [1, -beta2], g.square().cpu().numpy(), axis=0)
    return torch.from_numpy(moments).to(g.device).cummax(0).values


def _check(gradients: Tensor, lr: float, beta1: float, beta2: float, diameter: float) -> None:
    if gradients.ndim != 2 or not len(gradients) or gradients.is_complex() or not gradients.isfinite().all():
        raise ValueError(
            "gradients must be finite real numbers of shape (t, s) with t at least 1; they came as "
            f"{gradients.dtype} of shape {tuple(gradients.shape)}"
            f"{'' if gradients.isfinite().all() else ' with some that are not finite'}."
        )
    for name, value in (("lr", lr), ("diameter", diameter)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} must be a finite number above 0, but it is {value}.")
    if not (0 < beta2 < 1 and 0 <= beta1 < math.sqrt(beta2)):
        raise ValueError(f"betas must have 0 <= beta1 < sqrt(beta2) < 1, but they are ({beta1}, {beta2}).")
