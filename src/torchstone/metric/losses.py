"""One checked module for every loss: what a training step may throw at it, it meets in one way."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from torchstone.metric.inputs import check_embeddings, check_labels, check_range

Miner = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


class MetricLoss(nn.Module):
    """A loss of a batch of embeddings and labels, with checks, in float32 at least; made by a row of :data:`LOSSES`.

    Args:
        criterion: the loss itself, of (embeddings, labels), and of pairs where there is a miner.
        classes: number of classes c; labels are 0 ... c - 1.
        dim: features d of the embeddings.
        miner: what chooses the pairs that count.

    Attributes:
        batches_without_positives: how many batches had no two examples of one class.
        batches_without_negatives: how many had one class only. Such batches give a loss of 0 with gradient zero where
            the loss needs what they lack; many of them mean that the sampler is wrong.

    Example:
        >>> from torchstone.metric import nt_xent
        >>> loss = MetricLoss(nt_xent, classes=10, dim=2)
        >>> float(loss(torch.eye(2), torch.tensor([3, 3]))), loss.batches_without_negatives
        (0.0, 1)
    """

    def __init__(self, criterion: Callable[..., Tensor], classes: int, dim: int, *, miner: Miner | None = None) -> None:
        super().__init__()
        if classes < 1 or dim < 1:
            raise ValueError(f"`classes` and `dim` must be at least 1, but are {classes} and {dim}.")
        self.criterion, self.miner = criterion, miner
        self.classes, self.dim = classes, dim
        self.batches_without_positives = self.batches_without_negatives = 0

    def forward(self, embeddings: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The loss of a batch; nan where an embedding is not finite.

        Raises:
            TypeError: embeddings are not floating point, or labels not integers.
            ValueError: shapes do not fit, or a label is not in 0 ... c - 1.
        """
        self._check(embeddings, labels)
        self._count(labels)
        x = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
        if not x.isfinite().all():
            return torch.nan * x.sum()
        y = labels.long()
        pairs = (self.miner(x, y),) if self.miner else ()
        return self.criterion(x, y, *pairs)

    def _check(self, embeddings: Tensor, labels: Tensor) -> None:
        check_embeddings(embeddings)
        check_labels(labels, embeddings)
        check_range(labels, self.classes, "The loss")
        if embeddings.shape[1] != self.dim:
            raise ValueError(
                f"`embeddings` must have the {self.dim} features that the loss was made for (its `dim`), but have "
                f"shape {tuple(embeddings.shape)}."
            )

    def _count(self, labels: Tensor) -> None:
        different = len(labels.unique())  # type: ignore[no-untyped-call]
        self.batches_without_positives += different == len(labels)
        self.batches_without_negatives += different == 1
