"""An encoder with a linear head over the base classes: what is trained, and what is distilled."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from jaxtyping import Float
from torch import Tensor, nn

from torchstone.nets import seeded
from torchstone.training import History

M = TypeVar("M", bound=nn.Module)


class BaseClassifier(nn.Module):
    r"""Logits :math:`W f(x) + b` over all base classes; :math:`f` is what few-shot classification keeps.

    Args:
        encoder: :math:`f`, from images to rows (b, d).
        d: features of the encoder.
        classes: the names (or numbers) of the base classes, in the order of the logits.
        seed: of the head's initial weights.

    >>> import torch
    >>> BaseClassifier(nn.Flatten(), 4, classes=["cat", "dog", "owl"], seed=0)(torch.zeros(2, 1, 2, 2)).shape
    torch.Size([2, 3])
    """

    def __init__(self, encoder: nn.Module, d: int, *, classes: Sequence[Hashable], seed: int) -> None:
        super().__init__()
        self.encoder, self.classes = encoder, tuple(classes)
        with seeded(seed):
            self.head = nn.Linear(d, len(self.classes))
        self.head.to(next(encoder.parameters(), self.head.weight))

    def forward(self, x: Float[Tensor, "b ..."]) -> Float[Tensor, "b c"]:
        """The logits of a batch.

        Raises:
            ValueError: the encoder gives another number of features than d.
        """
        features = self.encoder(x).flatten(1)
        if features.shape[1] != self.head.in_features:
            raise ValueError(
                f"`d` is {self.head.in_features}, but `encoder` gives {features.shape[1]} features for images of shape "
                f"{tuple(x.shape[1:])}. Give that `d`, or images of the size that it was meant for."
            )
        logits: Tensor = self.head(features)
        return logits


@dataclass(frozen=True, eq=False)
class Trained(Generic[M]):
    """What a training gave, and what it cost.

    Args:
        model: the trained model.
        history: loss and accuracy at each step.
        images_seen: images that the model was shown, repetitions included: what methods are given alike.
    """

    model: M
    history: History
    images_seen: int
