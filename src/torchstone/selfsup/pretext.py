"""What the three methods share: an encoder with a head, trained without labels, in scikit-learn's manners."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from torchstone.data import Augment, Batches, stream
from torchstone.nets import seeded
from torchstone.selfsup.features import encode, features
from torchstone.selfsup.inputs import Images, as_images, chunks, for_encoder
from torchstone.selfsup.recipe import Recipe
from torchstone.training import History, evaluating, fit

Progress = Callable[[float, str], None]


class Pretext(TransformerMixin, BaseEstimator, ABC):  # type: ignore[misc]
    """An encoder trained on a task that needs no labels; its head is thrown away afterwards.

    Subclasses say what head stands on the encoder and what is minimised.

    Attributes:
        encoder_: the trained copy of ``encoder``.
        head_: the trained head.
        history_: loss and further metrics of each step.
    """

    encoder: nn.Module
    recipe: Recipe
    augment: Augment | None
    encoder_: nn.Module
    head_: nn.Module
    history_: History

    def fit(
        self,
        images: Images,
        y: Any = None,
        *,
        steps: int = 1000,
        seed: int = 0,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Train a copy of the encoder.

        Args:
            images: (n, c, h, w), uint8 (divided by 255) or floating point.
            y: not used; scikit-learn's pipelines pass it.
            steps: of ``recipe.batch_size`` images each.
            seed: of the head's first weights, the batches, the augmentation and what is drawn for each image.
            checkpoint: a folder to go on from after a kill, exactly; see :func:`torchstone.training.fit`.
            progress: called with the fraction done and a note.

        Returns:
            Itself.

        Raises:
            ValueError, TypeError: what :func:`torchstone.training.fit` refuses, or images that are no (n, c, h, w).
            NonFiniteLossError: the training diverged.
        """
        x = as_images(images)
        model = self._model(x, seed)
        device = next((parameter.device for parameter in model.parameters()), x.device)
        batches = Batches(x, torch.arange(len(x)), size=self._size(x), seed=seed, augment=self.augment, device=device)
        draws = stream(seed, "pretext")

        def objective(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
            return self._metrics(model["encoder"], model["head"], for_encoder(batch[0], model["encoder"]), draws)

        self.history_ = fit(
            self.recipe.player(model, objective, steps),
            batches,
            steps=steps,
            seed=seed,
            checkpoint=checkpoint,
            progress=progress,
            generators={"pretext": draws},
        )
        self.encoder_, self.head_ = model["encoder"], model["head"]
        return self

    def transform(
        self, images: Images, *, layer: str | None = None, pool: int | None = None, batch_size: int = 256
    ) -> Float[Tensor, "n d"] | npt.NDArray[Any]:
        """The trained encoder's features, see :func:`features`; an array if ``images`` is one."""
        check_is_fitted(self, "encoder_")
        rows = features(self.encoder_, images, layer=layer, pool=pool, batch_size=batch_size)
        return rows.cpu().numpy() if isinstance(images, np.ndarray) else rows

    @abstractmethod
    def _head(self, d: int, shape: tuple[int, int, int]) -> nn.Module:
        """A head on an encoder of d features for images of a shape (c, h, w), its weights drawn from torch's global
        generator."""

    @abstractmethod
    def _metrics(
        self, encoder: nn.Module, head: nn.Module, x: Float[Tensor, "b c h w"], draws: torch.Generator
    ) -> dict[str, Tensor]:
        """What is minimised on a batch, under ``loss``, and what else is recorded."""

    def _model(self, x: Shaped[Tensor, "n c h w"], seed: int) -> nn.ModuleDict:
        encoder = deepcopy(self.encoder)
        with evaluating(encoder), torch.no_grad():
            example = encode(encoder, for_encoder(x[:1], encoder))
        c, h, w = x.shape[1:]
        with seeded(seed):
            head = self._head(example.shape[1], (c, h, w)).to(example)
        return nn.ModuleDict({"encoder": encoder, "head": head})

    def _size(self, x: Tensor) -> int:
        if len(x) < self.recipe.batch_size:
            raise ValueError(
                f"`images` has {len(x)} images, but a batch of the recipe {self.recipe.batch_size}. Give a smaller "
                f"one: recipe=Recipe(batch_size={len(x)})."
            )
        return self.recipe.batch_size

    def _batches(self, images: Images, batch_size: int) -> list[Float[Tensor, "b c h w"]]:
        """The images as the trained encoder takes them."""
        check_is_fitted(self, "encoder_")
        return [for_encoder(batch, self.encoder_) for batch in chunks(as_images(images), batch_size)]
