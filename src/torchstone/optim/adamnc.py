"""AdamNC: Adam whose averages forget ever less."""

from collections.abc import Iterable
from typing import Any

import torch

from torchstone.optim.base import ElementwiseOptimizer, Group, Impl, Tensors


class AdamNC(ElementwiseOptimizer):
    states = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        impl: Impl = "auto",
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"maximize": maximize, "impl": impl})

    def update(self, group: Group, t: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        m, v = states
        torch._foreach_lerp_(m, g, 1 - group["betas"][0])
        torch._foreach_mul_(v, 1 - 1 / t)
        torch._foreach_addcmul_(v, g, g, value=1 / t)
        root = torch._foreach_sqrt(v)
        torch._foreach_add_(root, group["eps"] or torch.finfo(v[0].dtype).tiny)
        torch._foreach_addcdiv_(x, m, root, value=-float(group["lr"]))
