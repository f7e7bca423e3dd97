"""What a representation is: n examples in rows, d features in columns; checked, in float64, centred."""

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = Tensor | npt.NDArray[Any]


class SimilarityWarning(UserWarning):
    """A similarity that is undefined, or a number that is easily read for more than it says."""


def warn(message: str) -> None:
    """Issue a :class:`SimilarityWarning`."""
    warnings.warn(message, SimilarityWarning, stacklevel=4)


@dataclass(frozen=True)
class Representation:
    """One checked (n, d) representation.

    Args:
        name: what messages call it.
        values: the numbers in float64; all computing is done in float64.
        dtype: the dtype of results: float64 for float64 and numpy input, float32 for every other.
        eps: the relative rounding error of the numbers as they came; integers are exact, so that of float64.
    """

    name: str
    values: Tensor
    dtype: torch.dtype
    eps: float

    @property
    def n(self) -> int:
        """The number of examples."""
        return self.values.shape[0]

    @property
    def d(self) -> int:
        """The number of features."""
        return self.values.shape[1]

    @cached_property
    def centred(self) -> Tensor:
        """The values with every column's mean taken away; a constant column becomes exactly 0."""
        shifted = self.values - self.values[:1]  # a large common offset goes before it can cost digits
        return shifted - shifted.mean(0)

    @cached_property
    def rounding(self) -> float:
        """How far rounding to the dtype that came may have moved one value."""
        return self.eps * self.values.detach().abs().max().item()

    @cached_property
    def constant(self) -> bool:
        """Whether every example has the same features, up to rounding."""
        return self.centred.detach().abs().max().item() <= self.rounding

    def warn_if_constant(self) -> None:
        """Say that an index is undefined here, by name."""
        if self.constant:
            warn(f"{self.name} is constant on these {self.n} examples: its similarity to anything is undefined (nan).")


def representation(x: Array, name: str) -> Representation:
    """Check one (n, d) tensor or array; ``name`` is what errors call it."""
    tensor = _as_tensor(x, name)
    if tensor.layout != torch.strided:
        raise TypeError(f"{name} is a sparse tensor: a dense one is needed. Convert it first: {name}.to_dense().")
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise TypeError(f"{name} has dtype {tensor.dtype}: representations are real numbers. Convert it first.")
    if tensor.ndim != 2:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}: a representation is an (n, d) matrix, one example a row. "
            f"Flatten maps and token sequences first, for example {name}.flatten(1)."
        )
    n, d = tensor.shape
    if n < 2 or d < 1:
        raise ValueError(f"{name} has shape {(n, d)}: at least 2 examples (rows) and 1 feature (column) are needed.")
    values = tensor.double()
    if not torch.isfinite(values).all():
        raise ValueError(f"{name} has NaN or infinite values: clean them, or find the layer that makes them.")
    double = isinstance(x, np.ndarray) or tensor.dtype == torch.float64
    eps = torch.finfo(tensor.dtype if tensor.is_floating_point() else torch.float64).eps
    return Representation(name, values, torch.float64 if double else torch.float32, eps)


def pair(x: Array, y: Array) -> tuple[Representation, Representation]:
    """Check two representations of the same examples."""
    a, b = representation(x, "x"), representation(y, "y")
    if a.n != b.n:
        raise ValueError(
            f"x has {a.n} rows, y {b.n}: representations must come from the same examples in the same order."
        )
    if a.values.device != b.values.device:
        raise ValueError(f"x is on {a.values.device}, y on {b.values.device}: move one to the other's device.")
    return a, b


def deliver(value: Tensor, a: Representation, b: Representation) -> Tensor:
    """``value`` in the dtype that the inputs call for."""
    return value.to(torch.promote_types(a.dtype, b.dtype))


def defined(value: Tensor, a: Representation, b: Representation, *, explained: bool = False) -> Tensor:
    """``value`` as :func:`deliver` gives it; where it is undefined, nan and a warning that says why.

    ``explained``: unless an input is constant, a warning has already said why.
    """
    if a.constant or b.constant:
        a.warn_if_constant()
        b.warn_if_constant()
        value = value * torch.nan
    elif value.isnan() and not explained:
        warn(f"All examples of {a.name} or of {b.name} are equally alike: the similarity is undefined (nan).")
    return deliver(value, a, b)


def unit(values: Tensor) -> Tensor:
    """``values`` over the largest of them, so that no square of one can overflow or vanish; zeros stay zeros."""
    if not values.numel():
        return values
    return values / values.detach().abs().max().clamp(min=torch.finfo(values.dtype).tiny)


def one_of(value: str, choices: tuple[str, ...], name: str) -> None:
    """Refuse a ``value`` of the argument ``name`` that is not among ``choices``."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: it must be one of {', '.join(map(repr, choices))}.")


def _as_tensor(x: Array, name: str) -> Tensor:
    if isinstance(x, Tensor):
        return x
    if not isinstance(x, np.ndarray):
        raise TypeError(f"{name} is a {type(x).__name__}: a torch tensor or a numpy array of shape (n, d) is needed.")
    if x.dtype.kind not in "iuf":
        raise TypeError(f"{name} has dtype {x.dtype}: representations are real numbers. Convert it first.")
    narrow = x.dtype.kind == "f" and x.dtype.itemsize < 8
    return torch.from_numpy(np.array(x, dtype=f"f{x.dtype.itemsize}" if narrow else "f8"))
