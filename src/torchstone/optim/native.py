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
        The optimizer. Where it is fused, a hook makes its gradients :class:`Ready`.
    """
    params = [with_list(item) for item in params]
    switches = switches_of(impl, list(tensors_of(params)))
    optimizer = kind(params, **hyper, **switches)  # type: ignore[arg-type]
    for group in optimizer.param_groups:
        if group.get("eps") == 0:
            group["eps"] = max(torch.finfo(tensor.dtype).tiny for tensor in group["params"])
    if switches.get("fused"):
        optimizer.register_step_pre_hook(Ready(buffers=bool(hyper.get("momentum"))))
    return optimizer


def with_list(item: Any) -> Any:
    """A group whose parameters can be gone through twice; anything else as it is."""
    if not isinstance(item, dict) or isinstance(item["params"], Tensor):
        return item
    return {**item, "params": list(item["params"])}


def tensors_of(params: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among parameters, named parameters and groups of either."""
    for item in params:
        if isinstance(item, dict):
            yield from tensors_of([item["params"]] if isinstance(item["params"], Tensor) else item["params"])
        else:
            yield item[1] if isinstance(item, tuple) else item


def switches_of(impl: Impl, tensors: list[Tensor]) -> dict[str, bool]:
    """Torch's words for an implementation."""
    if impl == "auto":
        return {"fused": True} if all(fits_kernel(tensor) for tensor in tensors) else {}
    return {"foreach": impl == "foreach", "fused": impl == "fused"}


def fits_kernel(tensor: Tensor) -> bool:
    """Whether the processor's fused kernels are right for a parameter: real, and without gaps in its memory."""
    dense = torch.empty_like(tensor, device="meta").stride() == tensor.stride()
    return tensor.device.type == "cpu" and tensor.dtype in EXACT and dense


class Ready:
    """What a fused optimizer of torch needs before each step, and torch does not see to.

    Its kernels walk through a gradient's memory in the parameter's order, so other layouts are copied; and momentum
    fails unless all or none of the parameters have a buffer, so those that get their first gradient late begin at 0,
    which is what the others began at.
    """

    def __init__(self, *, buffers: bool) -> None:
        self.buffers = buffers
        self.moved: list[Any] = []

    def __call__(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Before a step; cheap where all is as it was and contiguous."""
        moved: list[Any] = []
        for group in optimizer.param_groups:
            params = group["params"]
            gradients = [gradient for parameter in params if (gradient := parameter.grad) is not None]
            all_moved = len(gradients) == len(params)
            moved.append(len(params) if all_moved else [parameter.grad is not None for parameter in params])
            if not (all(map(Tensor.is_contiguous, gradients)) and all(map(Tensor.is_contiguous, params))):
                for parameter in params:
                    copy_gradient(parameter)
        if self.buffers and moved != self.moved:
            begin_buffers(optimizer)
        self.moved = moved


def copy_gradient(parameter: Tensor) -> None:
    """Lay out a dense gradient as its parameter is; a sparse one is left to torch, which refuses it."""
    gradient = parameter.grad
    if gradient is not None and gradient.layout is torch.strided and gradient.stride() != parameter.stride():
        parameter.grad = torch.empty_like(parameter).copy_(gradient)


def begin_buffers(optimizer: Optimizer) -> None:
    """Give momentum of 0 to each parameter that has a gradient and no momentum."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None and optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
