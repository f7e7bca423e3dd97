"""Torch's own optimizers, configured for speed."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchstone.optim.base import Impl

EXACT = (torch.float32, torch.float64)


def native(kind: type[Optimizer], params: Iterable[Any], *, impl: Impl, **hyper: Any) -> Optimizer:
    """An optimizer of torch, fused on the processor where its parameters allow it (torch leaves that off).

    Args:
        kind: the class, one that has ``foreach`` and ``fused``.
        params: parameters, or groups of them.
        impl: which of torch's implementations; ``"auto"`` leaves the choice to torch elsewhere than on the processor.
        hyper: what else the class takes. An eps of 0 is replaced by the least normal number, which changes no other
            step than 0/0, to 0.

    Returns:
        The optimizer. Where it is fused, gradients that are laid out in memory otherwise than their parameter are
        copied first, since torch's kernel would take their numbers in the wrong order.
    """
    params = list(params)
    tensors = list(tensors_of(params))
    if hyper.get("eps") == 0 and tensors:
        hyper["eps"] = max(torch.finfo(tensor.dtype).tiny for tensor in tensors)
    switches = switches_of(impl, tensors)
    optimizer = kind(params, **hyper, **switches)  # type: ignore[arg-type]
    if switches.get("fused"):
        optimizer.register_step_pre_hook(same_layout)
    return optimizer


def tensors_of(params: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among parameters, named parameters and groups of either."""
    for item in params:
        if isinstance(item, dict):
            group = item["params"]
            yield from tensors_of([group] if isinstance(group, Tensor) else group)
        else:
            yield item[1] if isinstance(item, tuple) else item


def switches_of(impl: Impl, tensors: list[Tensor]) -> dict[str, bool]:
    """Torch's words for an implementation."""
    if impl == "auto":
        fits = all(tensor.device.type == "cpu" and tensor.dtype in EXACT for tensor in tensors)
        return {"fused": True} if fits else {}
    return {"foreach": impl == "foreach", "fused": impl == "fused"}


def same_layout(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    """Give each gradient the strides of its parameter."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            gradient = parameter.grad
            if gradient is not None and gradient.stride() != parameter.stride():
                parameter.grad = torch.empty_like(parameter).copy_(gradient)
