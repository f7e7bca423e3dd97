"""What memories ask of their arguments."""

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torchstone.programs.memory.memory import MemoryState


def check_size(name: str, value: int, least: int = 1) -> None:
    """Refuse what is no whole number, or too small a one."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"`{name}` must be a whole number, but is {value!r} of type {type(value).__name__}.")
    if value < least:
        raise ValueError(f"`{name}` must be at least {least}, but is {value}.")


def check_noise(noise: float) -> None:
    """Refuse a standard deviation that is none."""
    if not 0 <= noise < math.inf:
        raise ValueError(f"`noise` must be a standard deviation, 0 or more and finite, but is {noise}.")


def check_state(state: "MemoryState", width: int) -> None:
    """Refuse a state that isn't one of a memory of this width."""
    values, strengths = state
    if values.ndim < 2 or values.shape[:-1] != strengths.shape or values.shape[-1] != width:
        raise ValueError(
            f"`state` must have values of shape (..., n, {width}) and strengths (..., n), but they have "
            f"{tuple(values.shape)} and {tuple(strengths.shape)}. Begin with memory.start(batch) of this memory."
        )


def check_action(state: "MemoryState", value: Tensor, push: Tensor, pop: Tensor, ends: tuple[int, ...]) -> None:
    """Refuse what can't be pushed onto this state, and pushes and pops outside [0, 1]."""
    batch = (*state.values.shape[:-2], *ends)
    shapes = {"value": (*batch, state.values.shape[-1]), "push": batch, "pop": batch}
    for name, tensor in (("value", value), ("push", push), ("pop", pop)):
        check_tensor(name, tensor, like=state.values)
        if tensor.shape != shapes[name]:
            raise ValueError(
                f"`{name}` must have shape {shapes[name]} to fit the state, but has {tuple(tensor.shape)}. "
                "The state says the batch: memory.start(batch)."
            )
    check_finite("value", value)
    for name, tensor in (("push", push), ("pop", pop)):
        check_share(name, tensor)


def check_tensor(name: str, tensor: object, like: Tensor) -> None:
    """Refuse what is no floating-point tensor of the dtype and device of another."""
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        raise TypeError(
            f"`{name}` must be a floating-point tensor, but is {kind}. Convert it: "
            f"torch.as_tensor({name}, dtype={like.dtype})."
        )
    if (tensor.dtype, tensor.device) != (like.dtype, like.device):
        raise TypeError(
            f"`{name}` is {tensor.dtype} on {tensor.device}, but the state is {like.dtype} on {like.device}. Give both "
            f"the same: memory.start(batch, dtype={name}.dtype, device={name}.device)."
        )


def check_finite(name: str, tensor: Tensor) -> None:
    """Refuse NaN and infinity."""
    if not tensor.isfinite().all():
        raise ValueError(f"`{name}` has NaN or infinite entries. Look for where they come from, or leave them out.")


def check_share(name: str, tensor: Tensor) -> None:
    """Refuse what isn't between 0 and 1; the message names the first such number."""
    inside = (tensor >= 0) & (tensor <= 1)
    if not inside.all():
        raise ValueError(
            f"`{name}` must lie in [0, 1], but has {float(tensor[~inside][0]):g}. Squash it: torch.sigmoid({name})."
        )


def check_mask(mask: Tensor, shape: torch.Size) -> None:
    """Refuse a mask that doesn't say of every step of every sequence whether it is there."""
    if mask.dtype != torch.bool or mask.shape != shape:
        raise ValueError(
            f"`mask` must be boolean of shape {tuple(shape)}, True where a step is there, but is {mask.dtype} of shape "
            f"{tuple(mask.shape)}."
        )
