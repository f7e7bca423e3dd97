"""Torch's own optimizers, fused on the processor where their parameters allow it, and safe there.

Torch leaves its fused kernels off on the processor. They walk through a gradient's memory in the parameter's order, so
that one that is laid out otherwise (transposed, say) gives wrong numbers without a word; and momentum's fails unless
all or none of the parameters have a buffer. The classes here see to both.
"""

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchstone.optim.base import Group, Impl
from torchstone.optim.hyper import check_hyper

EXACT = (torch.float32, torch.float64)

if TYPE_CHECKING:
    Base = Optimizer
else:
    Base = object


class Native(Base):
    """What is added to an optimizer of torch that has ``foreach`` and ``fused``: where both are None, it chooses."""

    dense: ClassVar[Any]
    """What torch's ``_init_group`` gives where all gradients are dense and real."""

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters with hyperparameters of their own.

        An eps of 0 is replaced by the least normal number, which changes no other step than 0/0, to 0.

        Raises:
            ValueError: a hyperparameter is out of range, or ``fused`` is True for parameters with gaps in memory.
        """
        check_hyper(self.defaults | param_group)
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        if group["fused"] is None and group["foreach"] is None and all(map(fits_kernel, group["params"])):
            group["fused"] = True
        if group["fused"] and not all(map(is_dense, group["params"])):
            self.param_groups.pop()
            raise ValueError("impl='fused' needs parameters without gaps in memory. Give impl='auto'.")
        if group.get("eps") == 0:
            group["eps"] = max(torch.finfo(tensor.dtype).tiny for tensor in group["params"])

    def columns(self, group: Group, params: list[Tensor]) -> list[list[Tensor]]:
        """The states of ``params``, in the lists that torch's step wants; a KeyError where one has yet to begin."""
        raise KeyError

    def _init_group(self, group: Group, params: list[Tensor], grads: list[Tensor], *states: list[Any]) -> Any:
        """Collect what torch's step is about to move, each gradient laid out as its parameter.

        Fused, and once all states have begun, in few passes where torch makes many: beside small tensors that is seen.
        """
        moving = [(p, g) for p in group["params"] if (g := p.grad) is not None]
        columns = None
        if group["fused"] and not any(g.is_sparse for _, g in moving):
            with suppress(KeyError):
                columns = self.columns(group, [p for p, _ in moving])
        if columns is None:
            found = super()._init_group(group, params, grads, *states)  # type: ignore[misc]
        else:
            found = self.dense
            params[:], grads[:] = [p for p, _ in moving], [g for _, g in moving]
            for filled, column in zip(states, columns, strict=True):
                filled[:] = column
        if group["fused"]:
            lay_out(grads, params)
        return found


class SGD(Native, torch.optim.SGD):
    """Torch's, whose momentum may begin late."""

    dense = False

    def columns(self, group: Group, params: list[Tensor]) -> list[list[Tensor]]:
        """Buffers; those that have yet to begin are 0, which is what torch's first step amounts to."""
        return [[self._buffer(p) for p in params] if group["momentum"] else []]

    def _buffer(self, parameter: Tensor) -> Tensor:
        buffer: Tensor | None = self.state[parameter].get("momentum_buffer")
        return torch.zeros_like(parameter) if buffer is None else buffer


class Adagrad(Native, torch.optim.Adagrad):
    """Torch's."""

    dense = (False, False)

    def columns(self, group: Group, params: list[Tensor]) -> list[list[Tensor]]:
        """Sums of squares, and steps."""
        states = [self.state[p] for p in params]
        return [[state[name] for state in states] for name in ("sum", "step")]


class Adam(Native, torch.optim.Adam):
    """Torch's."""

    dense = False

    def columns(self, group: Group, params: list[Tensor]) -> list[list[Tensor]]:
        """Moments, their maxima for AMSGrad, and steps."""
        states = [self.state[p] for p in params]
        m, v, t = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
        return [m, v, [state["max_exp_avg_sq"] for state in states] if group["amsgrad"] else [], t]


def native(kind: type[Optimizer], params: Iterable[Any], *, impl: Impl, **hyper: Any) -> Optimizer:
    """One of the classes above, with ``impl`` in torch's words."""
    switches = {} if impl == "auto" else {"foreach": impl == "foreach", "fused": impl == "fused"}
    return kind(params, **hyper, **switches)  # type: ignore[arg-type]


def fits_kernel(tensor: Tensor) -> bool:
    """Whether the processor's fused kernels are right for a parameter: real, and without gaps in its memory."""
    return tensor.device.type == "cpu" and tensor.dtype in EXACT and is_dense(tensor)


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor has no gaps in its memory, in whatever order its numbers lie there."""
    return torch.empty_like(tensor, device="meta").stride() == tensor.stride()


def lay_out(gradients: list[Tensor], parameters: list[Tensor]) -> None:
    """Replace the gradients that are not laid out as their parameters are; cheap where all are contiguous."""
    contiguous = Tensor.is_contiguous
    if not (all(map(contiguous, gradients)) and all(map(contiguous, parameters))):
        gradients[:] = map(laid_out, gradients, parameters)


def laid_out(gradient: Tensor, parameter: Tensor) -> Tensor:
    """A dense gradient in its parameter's layout; a sparse one is left to torch, which refuses it."""
    if gradient.layout is not torch.strided or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)
