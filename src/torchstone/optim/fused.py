"""Torch's fused Adam kernel without bias correction, which makes it the kernel of other rules too.

The kernel corrects moments by 1 - βᵗ with a step t of its own argument. At t = ∞ both corrections are exactly 1. It is
private to torch, so it is tried against the formula before it is used, and left alone where it fails.
"""

import math
from functools import cache

import torch
from torch import Tensor

from torchstone.optim.base import Group, Tensors

UNCORRECTED = math.inf


def fused_adam(
    group: Group,
    x: Tensors,
    g: Tensors,
    m: Tensors,
    v: Tensors,
    *,
    lr: float,
    betas: tuple[float, float],
    t: float = UNCORRECTED,
    largest: Tensors = (),
) -> bool:
    r"""Move ``x`` by -lr m / (√v + ε) after both moments were updated, with the group's decay and direction.

    Args:
        group: eps, weight_decay, maximize.
        x: what is moved.
        g: the gradients.
        m: the first moment; with β₁ = 0 it may be ``g`` itself, which then keeps its values.
        v: the second moment.
        lr: step size, of any sign.
        betas: β₁ and β₂ of this step.
        t: for bias correction.
        largest: running maxima of v, which replace it in the update.

    Returns:
        Whether there is such a kernel here; if not, nothing is done.
    """
    if not available(x[0].device.type, x[0].dtype):
        return False
    run(group, x, g, m, v, lr=lr, betas=betas, t=t, largest=largest)
    return True


def run(
    group: Group,
    x: Tensors,
    g: Tensors,
    m: Tensors,
    v: Tensors,
    *,
    lr: float,
    betas: tuple[float, float],
    t: float = UNCORRECTED,
    largest: Tensors = (),
) -> None:
    """The kernel, whether it can be trusted or not."""
    step = torch.full((), t, dtype=torch.float32, device=x[0].device)
    torch._fused_adam_(
        x,
        g,
        m,
        v,
        largest,
        [step] * len(x),
        lr=lr,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=group["weight_decay"],
        eps=group["eps"] or torch.finfo(x[0].dtype).tiny,
        amsgrad=len(largest) > 0,
        maximize=group["maximize"],
        grad_scale=None,
        found_inf=None,
    )


@cache
def available(device: str, dtype: torch.dtype) -> bool:
    """Whether the kernel is there, for this device and type, and computes what the formula says."""
    if dtype not in (torch.float32, torch.float64) or not hasattr(torch, "_fused_adam_"):
        return False
    try:
        return all(agrees(device, dtype, beta1, t) for beta1, t in ((0.0, UNCORRECTED), (0.9, UNCORRECTED), (0.9, 3.0)))
    except (RuntimeError, TypeError):
        return False


def agrees(device: str, dtype: torch.dtype, beta1: float, t: float) -> bool:
    """Whether one step of the kernel is that of the formula, and leaves the gradient as it was."""
    x, g, v, top = (torch.linspace(start, 2, 37, dtype=dtype, device=device) for start in (-1, -2, 0.1, 0))
    m = g if beta1 == 0 else x.flip(0)
    group = {"weight_decay": 0.0, "eps": 1e-3, "maximize": False}
    expected = formula(x, g.clone(), m.clone(), v, top, beta1, t)
    before = g.clone()
    run(group, [x], [g], [m], [v], lr=0.1, betas=(beta1, 0.9), t=t, largest=[top])
    return torch.equal(g, before) and all(
        torch.allclose(mine, theirs, rtol=1e-5) for mine, theirs in zip((x, m, v, top), expected, strict=True)
    )


def formula(x: Tensor, g: Tensor, m: Tensor, v: Tensor, top: Tensor, beta1: float, t: float) -> tuple[Tensor, ...]:
    """What :func:`agrees` expects."""
    m, v = beta1 * m + (1 - beta1) * g, 0.9 * v + 0.1 * g.square()
    top = torch.maximum(top, v)
    root = (top / (1 - 0.9**t)).sqrt() + 1e-3
    return x - 0.1 * m / (1 - beta1**t) / root, m, v, top
