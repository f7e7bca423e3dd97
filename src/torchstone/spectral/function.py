"""A network as a scalar function of points, in float64, with the values at which it bends."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from torchstone.spectral.output import one_output

Model = Callable[[Tensor], Tensor]
Corner = float | Sequence[float] | Tensor
Box = tuple[Corner, Corner]
ROWS = 1024  # points a forward pass: bounds the memory

_aten = torch.ops.aten
_BENDS: dict[Any, Callable[..., Sequence[Tensor]]] = {  # where an operation bends: at the zeros of these
    **dict.fromkeys(
        [_aten.relu, _aten.relu_, _aten.leaky_relu, _aten.leaky_relu_, _aten._prelu_kernel, _aten.abs],
        lambda x, *_: [x],
    ),
    **dict.fromkeys([_aten.hardtanh, _aten.hardtanh_], lambda x, low=-1, high=1: [x - low, x - high]),
    **dict.fromkeys([_aten.clamp_min, _aten.clamp_max, _aten.clamp_min_], lambda x, level: [x - level]),
    **dict.fromkeys(
        [_aten.clamp, _aten.clamp_],
        lambda x, low=None, high=None: [x - level for level in (low, high) if level is not None],
    ),
    **dict.fromkeys([_aten.maximum, _aten.minimum], lambda x, y: [x - y]),
}
UNDERSTOOD = "ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh, abs, clamp, maximum, minimum"


class NotPiecewiseLinearError(ValueError):
    """The function is not made of flat pieces that could be found, so there is no exact spectrum of it."""


class TooManyRegionsError(ValueError):
    """The function has more flat pieces than can be found in a bearable time."""


class _Reached(Exception):
    """The bend that was looked for: the rest of the forward pass is not needed."""


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Stop a forward pass at its ``index``-th bend and keep what vanishes there, (n, units)."""

    def __init__(self, index: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.index = index
        self.values = torch.empty(0)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here; torch's default would import its compiler, which takes longer than all else."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        bend = _BENDS.get(func.overloadpacket)
        if bend is not None:
            if self.index == 0:
                self.values = torch.cat([value.reshape(len(value), -1) for value in bend(*args, **(kwargs or {}))], 1)
                raise _Reached
            self.index -= 1
        return func(*args, **(kwargs or {}))


@dataclass(frozen=True)
class Function:
    """One output of a model over points: (n, d) to (n,), everything in float64.

    Args:
        model: what is called, with inputs of shape (n, *shape).
        shape: the shape of one input; d is its number of entries.
        output: which entry of the flattened output; ``None`` where there is one only.
        device: where points must lie.
    """

    model: Model
    shape: torch.Size
    output: int | None
    device: torch.device

    @torch.no_grad()
    def __call__(self, points: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
        """The values at points."""
        return torch.cat([self._values(part) for part in torch.split(points, ROWS)])

    def gradients(self, points: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
        """The gradients at points; at a bend, that of one of its sides."""
        return torch.cat([self._gradients(part) for part in torch.split(points, ROWS)])

    def called(self, points: Float[Tensor, "n d"]) -> object:
        """What the model gives for points."""
        x = points.reshape(-1, *self.shape)
        try:
            return self.model(x)
        except _Reached:
            raise
        except Exception as error:
            error.add_note(
                f"torchstone.spectral called model with an input of shape {tuple(x.shape)}, {x.dtype}: the first "
                "dimension is that of the examples, the others follow from box or the ends of the line. A function "
                "that is no nn.Module must take float64; instead of one around a module, pass the module."
            )
            raise

    @torch.no_grad()
    def bend(self, points: Float[Tensor, "n d"], index: int, *, most: float = math.inf) -> Float[Tensor, "n u"] | None:
        """What vanishes where the ``index``-th operation that bends does so; ``None`` if there are not so many.

        On a set on which all earlier operations are affine, these are affine functions of the point.

        Raises:
            TooManyRegionsError: n · u is above ``most``.
        """
        found = []
        for part in torch.split(points, ROWS):
            levels = self._bend(part, index)
            if levels is None:
                return None
            if len(points) * levels.shape[1] > most:
                raise TooManyRegionsError(
                    f"model has too many linear regions here: a layer of {levels.shape[1]} units is to be cut at "
                    f"{len(points)} points. Take a smaller box, a shorter line or a smaller network, or sample it."
                )
            found.append(levels)
        return torch.cat(found)

    def _bend(self, points: Tensor, index: int) -> Tensor | None:
        with _Watch(index) as watch:
            try:
                self.called(points)
            except _Reached:
                if len(watch.values) != len(points):
                    raise NotPiecewiseLinearError(
                        f"model bends a tensor of {len(watch.values)} rows when it is given {len(points)} inputs: the "
                        "first dimension must be that of the examples throughout."
                    ) from None
                values: Tensor = watch.values
                return values
        return None

    def _values(self, points: Tensor) -> Tensor:
        return check_finite(one_output(self.called(points), len(points), self.output).double())

    def _gradients(self, points: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = points.clone().requires_grad_()
            total = self._values(leaf * 1).sum()  # "* 1": a leaf must not be changed in place
            return torch.autograd.grad(total, leaf)[0] if total.requires_grad else torch.zeros_like(points)


def function_of(model: Model, shape: Sequence[int], output: int | None = None) -> Function:
    """A copy of ``model`` in float64 and in eval mode (no dropout, running statistics), as a function of points.

    A callable that is no module is called as it is, with float64 inputs.
    """
    if not callable(model):
        raise TypeError(f"model must be an nn.Module or a function of a tensor, but it is {model!r}.")
    if not isinstance(model, nn.Module):
        return Function(model, torch.Size(shape), output, torch.device("cpu"))
    twin = copy.deepcopy(model).double().eval().requires_grad_(False)
    device = next((parameter.device for parameter in twin.parameters()), torch.device("cpu"))
    return Function(twin, torch.Size(shape), output, device)


def check_finite(values: Tensor) -> Tensor:
    """The values, or an error."""
    if not values.isfinite().all():
        raise ValueError("model gives values that are not finite (NaN or Inf): are its weights finite?")
    return values


def corners(box: Box) -> tuple[Tensor, Tensor]:
    """The low and the high corner of a box as float64 tensors of one shape, checked."""
    try:
        low, high = (torch.as_tensor(corner, dtype=torch.float64).cpu() for corner in box)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"box must be a pair (low, high) of numbers or of corners, such as (0, 1) or ([0, 0], [1, 1]), but it is "
            f"{box!r}."
        ) from error
    if low.shape != high.shape or not (low.isfinite().all() and high.isfinite().all()) or not bool((low < high).all()):
        raise ValueError(
            f"box must be (low, high), finite, of one shape, with low < high everywhere, but it is {box!r}."
        )
    return low, high


def check_frequencies(k: Tensor, name: str = "k") -> Tensor:
    """Frequencies as finite real float64 numbers."""
    tensor = torch.as_tensor(k)
    if tensor.is_complex() or tensor.dtype == torch.bool or not tensor.isfinite().all():
        raise ValueError(f"{name} must hold finite real numbers, but it is {k!r}.")
    return tensor.double()
