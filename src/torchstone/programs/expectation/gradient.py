"""An estimated gradient and how far it may be off."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Gradient:
    r"""Independent estimates :math:`g_1, \dots, g_r` of a gradient, and what they say together.

    Args:
        estimates: for each parameter, (r, *shape of the parameter).
        values: of the expectation, (r,).
    """

    estimates: tuple[Float[Tensor, "r ..."], ...]
    values: Float[Tensor, " r"]

    @property
    def value(self) -> float:
        """The expectation, estimated."""
        return float(self.values.mean())

    @cached_property
    def mean(self) -> tuple[Tensor, ...]:
        """The gradient for each parameter."""
        return tuple(g.mean(0) for g in self.estimates)

    @cached_property
    def variance(self) -> tuple[Tensor, ...]:
        """Of one estimate, for each component of each parameter."""
        return tuple(g.var(0) for g in self.estimates)

    @cached_property
    def standard_error(self) -> tuple[Tensor, ...]:
        r"""Of ``mean``: :math:`\sqrt{\mathrm{variance} / r}`."""
        return tuple((variance / len(self.values)).sqrt() for variance in self.variance)


def parameters_of(inputs: Tensor | Iterable[Tensor]) -> tuple[Tensor, ...]:
    """What a gradient is asked for.

    Raises:
        TypeError: something is no tensor.
        ValueError: there is none, or one that does not require gradients.
    """
    found = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    if odd := [type(x).__name__ for x in found if not isinstance(x, Tensor)]:
        raise TypeError(f"inputs must be tensors, but there is one of type {odd[0]}.")
    if not found or not all(x.requires_grad for x in found):
        fault = "one of them does not require gradients: make it by requires_grad=True" if found else "there are none"
        raise ValueError(f"inputs must be the parameters that the gradient is for, but {fault}.")
    return found


def rows(estimates: Float[Tensor, " r"], inputs: Sequence[Tensor]) -> tuple[Float[Tensor, "r ..."], ...]:
    """The gradient of each of r numbers, in one backward pass over a batch of r directions; 0 for unused inputs."""
    zeros = tuple(x.new_zeros(len(estimates), *x.shape) for x in inputs)
    if not estimates.requires_grad:
        return zeros
    directions = torch.eye(len(estimates), dtype=estimates.dtype, device=estimates.device)
    found = torch.autograd.grad(estimates, inputs, directions, is_grads_batched=True, allow_unused=True)
    return tuple(zero if g is None else g for g, zero in zip(found, zeros, strict=True))
