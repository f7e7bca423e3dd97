"""All pairs of a batch: their distances in float64, and which of them are positive or negative."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from torchstone.metric.inputs import check_embeddings, check_labels

Reduction = Literal["nonzero", "mean", "sum"]


def unit(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Rows of length 1; a row of zeros stays one, and its gradient is zero."""
    squares = x.square().sum(1, keepdim=True)
    return x * torch.where(squares > 0, squares.clamp(min=torch.finfo(x.dtype).tiny).rsqrt(), 0)


def distances(x: Float[Tensor, "b d"], y: Float[Tensor, "n d"]) -> Float[Tensor, "b n"]:
    """Euclidean distances from one product of matrices; what is 0 up to rounding is 0 and has gradient zero."""
    scale = x.square().sum(1)[:, None] + y.square().sum(1)
    squares = scale - 2 * x @ y.T
    apart = squares > 8 * torch.finfo(x.dtype).eps * scale
    roots = torch.where(apart, squares, 1).sqrt()
    return torch.where(apart, roots, 0 * squares)  # nan stays nan


@dataclass(frozen=True)
class Pairs:
    """Pairs of an anchor (row) and a reference (column).

    Args:
        left: anchors, (b, d) in float64, of length 1 where this was asked for.
        right: references, (n, d).
        positive: whether a pair is of one class and not of one example with itself, (b, n).
        negative: whether it is of two classes, (b, n).
    """

    left: Float[Tensor, "b d"]
    right: Float[Tensor, "n d"]
    positive: Bool[Tensor, "b n"]
    negative: Bool[Tensor, "b n"]

    def distances(self) -> Float[Tensor, "b n"]:
        """Euclidean distances of all pairs."""
        return distances(self.left, self.right)

    def similarities(self) -> Float[Tensor, "b n"]:
        """Inner products of all pairs."""
        return self.left @ self.right.T

    @property
    def triplets(self) -> Int[Tensor, ""]:
        """The number of triplets of an anchor, a positive and a negative."""
        return (self.positive.sum(1) * self.negative.sum(1)).sum()


def all_pairs(
    embeddings: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    reference: Float[Tensor, "n d"] | None,
    reference_labels: Int[Tensor, " n"] | None,
    *,
    normalize: bool = True,
) -> Pairs:
    """Pairs of a batch with itself, without those of an example with itself, or with a reference set, with all."""
    check_embeddings(embeddings)
    check_labels(labels, embeddings)
    others, other_labels = resolve_reference(embeddings, labels, reference, reference_labels)
    left = unit(embeddings.double()) if normalize else embeddings.double()
    right = left if reference is None else unit(others.double()) if normalize else others.double()
    same = labels[:, None] == other_labels
    positive = same.clone().fill_diagonal_(False) if reference is None else same
    return Pairs(left, right, positive, ~same)


def resolve_reference(
    x: Tensor, labels: Tensor, reference: Tensor | None, reference_labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The reference set and its labels, checked; the examples themselves where there is none."""
    if reference is None or reference_labels is None:
        if reference is not reference_labels:
            raise ValueError("`reference` and `reference_labels` go together: give both or neither.")
        return x, labels
    check_embeddings(reference, "reference")
    check_labels(reference_labels, reference, "reference_labels")
    if reference.shape[1] != x.shape[1] or reference.device != x.device:
        raise ValueError(
            f"`reference` must have the {x.shape[1]} features of the embeddings and lie on {x.device}, but has shape "
            f"{tuple(reference.shape)} and lies on {reference.device}."
        )
    return reference, reference_labels


def reduced(total: Tensor, nonzero: Tensor, terms: Tensor, reduction: Reduction, like: Tensor) -> Tensor:
    """``total`` over the number of terms that the reduction counts, at least 1; float64 only where ``like`` is."""
    divisors = {"nonzero": nonzero, "mean": terms, "sum": torch.ones_like(terms)}
    if reduction not in divisors:
        raise ValueError(f"`reduction` must be 'nonzero', 'mean' or 'sum', but is {reduction!r}.")
    return delivered(total / divisors[reduction].clamp(min=1), like)


def delivered(value: Tensor, like: Tensor) -> Tensor:
    """``value`` in float64 where ``like`` is, and in float32 elsewhere: a loss in half precision would overflow."""
    return value if like.dtype == torch.float64 else value.float()
