"""Projection onto a feasible set after every step."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

Feasible = tuple[float, float] | Callable[[Tensor], Tensor]


def project(optimizer: Optimizer, feasible: Feasible) -> RemovableHandle:
    """Keep the parameters of ``optimizer`` in ``feasible`` after every step."""

    @torch.no_grad()
    def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if callable(feasible):
                    parameter.copy_(feasible(parameter))
                else:
                    parameter.clamp_(*feasible)

    return optimizer.register_step_post_hook(after)
