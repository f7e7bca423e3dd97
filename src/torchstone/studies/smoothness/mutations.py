"""What goes wrong in training programs, and what only looks as if it did: each a way to call a stage.

:data:`MUTATIONS` kill or poison gradients, :data:`HARMLESS` ones use the same operations and leave every gradient
alone. That they do is not taken on trust: autograd decides it for each mutant.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Stage = Callable[..., Tensor]
Mutation = Callable[..., Tensor]  # of the stage and its arguments


def opened(stage: Stage, *x: Any) -> Tensor:
    """The gate that changes nothing."""
    return stage(*x)


class At:
    """A gate that calls every stage as it is, and the one at a place by a mutation.

    Args:
        place: the number of the call, from 0.
        mutation: how to call the stage there.
    """

    def __init__(self, place: int, mutation: Mutation) -> None:
        self.place, self.mutation, self.calls = place, mutation, 0
        self.stage: Stage | None = None

    def __call__(self, stage: Stage, *x: Any) -> Tensor:
        """The result of the stage, mutated at the place."""
        self.calls += 1
        if self.calls != self.place + 1:
            return stage(*x)
        self.stage = stage
        return self.mutation(stage, *x)


def detached(stage: Stage, *x: Any) -> Tensor:
    """The stage's result, detached."""
    return stage(*x).detach()


def without_gradients(stage: Stage, *x: Any) -> Tensor:
    """The stage in ``no_grad``."""
    with torch.no_grad():
        return stage(*x)


def hard_choice(stage: Stage, *x: Any) -> Tensor:
    """One for the largest entry of each row, zero for the others."""
    out = stage(*x)
    best = rows(out).argmax(-1)
    return F.one_hot(best, rows(out).shape[-1]).to(out.dtype).view_as(out)


def rounded(stage: Stage, *x: Any) -> Tensor:
    """Rounded to quarters."""
    return (4 * stage(*x)).round() / 4


def by_items(stage: Stage, *x: Any) -> Tensor:
    """Every number taken out of torch, and put back."""
    out = stage(*x)
    return torch.tensor([value.item() for value in out.flatten()]).view_as(out)


def to_integers(stage: Stage, *x: Any) -> Tensor:
    """Cut off to eighths by way of integers."""
    return (8 * stage(*x)).int() / 8


def data_of(stage: Stage, *x: Any) -> Tensor:
    """The ``.data`` of the result."""
    return stage(*x).data


def forgotten(stage: Stage, *x: Any) -> Tensor:
    """The stage runs, and something else is used."""
    out = stage(*x)
    return torch.linspace(-1, 1, out.numel()).view_as(out)


def root_of_positive_part(stage: Stage, *x: Any) -> Tensor:
    """The square root of what ReLU leaves, with its zeros."""
    return F.relu(stage(*x)).sqrt()


def spread_with_itself(stage: Stage, *x: Any) -> Tensor:
    """With the mean distance between rows, each row to itself among them."""
    out = stage(*x)
    apart = rows(out)[:, None] - rows(out)[None]
    return out + 0.1 * apart.square().sum(-1).sqrt().mean()


def distance_to_first(stage: Stage, *x: Any) -> Tensor:
    """With the mean distance to the first row, which is 0 for the first."""
    out = stage(*x)
    return out + 0.1 * (rows(out) - rows(out)[:1]).square().sum(-1).sqrt().mean()


def root_where_positive(stage: Stage, *x: Any) -> Tensor:
    """A ``where`` drops the roots of negative numbers, but not their gradients."""
    out = stage(*x)
    return torch.where(out > 0, out.sqrt(), out)


def logarithm_where_positive(stage: Stage, *x: Any) -> Tensor:
    """A ``where`` drops the logarithms of negative numbers."""
    out = stage(*x)
    return torch.where(out > 0, out.log(), torch.zeros_like(out))


def angle_where_defined(stage: Stage, *x: Any) -> Tensor:
    """A ``where`` drops the arccosines of numbers beyond 1."""
    out = 2 * stage(*x)
    return torch.where(out.abs() < 1, out.acos(), out)


MUTATIONS: Mapping[str, Sequence[Mutation]] = {
    "detach": (detached,),
    "no_grad": (without_gradients,),
    "argmax": (hard_choice,),
    "round": (rounded,),
    "item": (by_items,),
    "int": (to_integers,),
    ".data": (data_of,),
    "unused": (forgotten,),
    "sqrt at 0": (root_of_positive_part, spread_with_itself, distance_to_first),
    "where-NaN": (root_where_positive, logarithm_where_positive, angle_where_defined),
}


def constants_detached(stage: Stage, *x: Any) -> Tensor:
    """Detached arguments that have no gradient anyway."""
    return stage(*(y.detach() if isinstance(y, Tensor) and not y.requires_grad else y for y in x))


def measured_without_gradients(stage: Stage, *x: Any) -> Tensor:
    """An accuracy and a sum of integers, measured and dropped."""
    out = stage(*x)
    with torch.no_grad():
        _ = (rows(out).argmax(-1) == 0).float().mean(), out.round().int().sum()
    return out


def logged(stage: Stage, *x: Any) -> Tensor:
    """Numbers taken out for a line of a log."""
    out = stage(*x)
    _ = f"mean {out.mean().item():.3f}, first entries {out.detach().flatten()[:3].tolist()}"
    return out


def straight_through(stage: Stage, *x: Any) -> Tensor:
    """Rounded forwards, the identity backwards."""
    out = stage(*x)
    return out + (out.round() - out).detach()


def frozen_teacher(stage: Stage, *x: Any) -> Tensor:
    """A penalty on the distance to what a frozen copy says."""
    out = stage(*x)
    teacher = copy.deepcopy(stage).requires_grad_(False) if isinstance(stage, torch.nn.Module) else stage
    with torch.no_grad():
        taught = teacher(*x)
    return out + 0.1 * (out - taught - 1).square().mean()


def centred_by_a_constant(stage: Stage, *x: Any) -> Tensor:
    """Less its mean, which counts as a constant."""
    out = stage(*x)
    return out - out.detach().mean()


def gated_by_a_sign(stage: Stage, *x: Any) -> Tensor:
    """A leaky ReLU, times a factor by the sign of a detached copy."""
    out = stage(*x)
    return torch.where(out > 0, out, 0.5 * out) * (1 + 0.1 * out.detach().sign())


def safe_root(stage: Stage, *x: Any) -> Tensor:
    """With the length of rows, kept off 0."""
    out = stage(*x)
    return out + (rows(out).square().sum(-1) + 1e-6).sqrt().mean()


def safe_where(stage: Stage, *x: Any) -> Tensor:
    """A ``where`` whose roots see positive numbers only."""
    out = stage(*x)
    positive = out > 0
    return torch.where(positive, torch.where(positive, out, 1.0).sqrt(), out)


def scaled_by_a_number(stage: Stage, *x: Any) -> Tensor:
    """Divided by its largest entry as a number."""
    out = stage(*x)
    return out / (1 + out.abs().max().item())


HARMLESS: Mapping[str, Mutation] = {
    "detach of a constant": constants_detached,
    "metrics in no_grad": measured_without_gradients,
    ".item() for a log": logged,
    "straight-through round": straight_through,
    "frozen teacher": frozen_teacher,
    "detached mean": centred_by_a_constant,
    "sign of a detached copy": gated_by_a_sign,
    "sqrt with an eps": safe_root,
    "where, made safe": safe_where,
    "scale by .item()": scaled_by_a_number,
}


def rows(x: Tensor) -> Tensor:
    """A matrix of the same entries, with rows of the last axis; one entry for a number."""
    return x.reshape(-1, x.shape[-1] if x.ndim else 1)
