"""AET: auto-encoding transformations rather than data."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone.data import Augment, stream
from torchstone.selfsup.features import encode
from torchstone.selfsup.inputs import Images
from torchstone.selfsup.losses import image_loss, matrix_loss, parameter_loss
from torchstone.selfsup.pretext import Pretext
from torchstone.selfsup.recipe import Recipe
from torchstone.selfsup.transformation import Invertible, Parametric, Transformation
from torchstone.training import evaluating

Loss = Literal["parameters", "matrix", "images"]
Head = Literal["tanh", "linear"]
NEEDS: dict[str, tuple[type, str]] = {
    "parameters": (Transformation, "sample, apply and target"),
    "matrix": (Parametric, "sample, apply, target, from_target and matrix"),
    "images": (Invertible, "sample, apply, target and from_target"),
}


@dataclass(frozen=True)
class TransformationError:
    """How well transformations are recognised.

    Args:
        error: mean squared error of the predicted targets.
        chance: that of always predicting the mean of the drawn targets.
        parts: the error of each number of the target, (p,).
    """

    error: float
    chance: float
    parts: Float[Tensor, " p"]


class AET(Pretext):
    r"""Predict, from an image before and after, which transformation came between.

    .. math:: \min_{E, D}\; \mathbb{E}_{t, x}\; \ell(t, \hat t), \qquad \hat t = D[E(x), E(t(x))]

    The encoder :math:`E` sees both images, each in a pass of its own; the decoder :math:`D` is one linear layer on both
    rows of features. Nothing is reconstructed: to tell :math:`t`, features must know where things are.

    Args:
        encoder: :math:`E`, from images to rows or maps (these are flattened). It is copied, not changed.
        transformation: :math:`t`: :class:`RandomAffine`, :class:`RandomProjective`, or any :class:`Transformation`.
        loss: :math:`\ell`: ``"parameters"``, the released code's mean squared error of the targets
            (:func:`parameter_loss`); ``"matrix"``, the paper's ½‖M - M̂‖² (:func:`matrix_loss`); ``"images"``, its
            non-parametric form, the distance of t(x) and t̂(x) (:func:`image_loss`).
        head: whether the decoder ends in ``"tanh"`` or is ``"linear"``; by default as the transformation says
            (affine: tanh, projective: linear), linear for others. A tanh never quite reaches ±1.
        recipe: optimizer, batch size, schedule.
        augment: a random change of each batch before the transformation, seen by both passes.

    Raises:
        ValueError, TypeError: from ``fit``: no such loss or head, or the transformation lacks a method that it needs.

    >>> from torchstone.nets import NIN
    >>> from torchstone.selfsup import RandomAffine
    >>> x = torch.rand(16, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    >>> aet = AET(NIN(6, channels=1, seed=0), RandomAffine(), recipe=Recipe(batch_size=8)).fit(x, steps=2)
    >>> aet.transform(x, layer="block2").shape
    torch.Size([16, 54])

    Paper: Zhang, Qi, Wang, Luo 2019, arXiv:1901.04596, equation 1 and section 3.
    Differs from the paper: transformations with parameters only, no trained generator of images; the last layer may be
        any encoder's.
    """

    def __init__(
        self,
        encoder: nn.Module,
        transformation: Transformation,
        *,
        loss: Loss = "parameters",
        head: Head | None = None,
        recipe: Recipe = Recipe(),  # noqa: B008  # frozen
        augment: Augment | None = None,
    ) -> None:
        self.encoder = encoder
        self.transformation = transformation
        self.loss = loss
        self.head = head
        self.recipe = recipe
        self.augment = augment

    def transformation_error(self, images: Images, *, seed: int = 0, batch_size: int = 256) -> TransformationError:
        """How well the trained network recognises freshly drawn transformations of these images.

        Args:
            images: (n, c, h, w), best ones that it was not trained on.
            seed: of the transformations.
            batch_size: images at a time; what is drawn depends on it.

        Returns:
            The error in evaluation mode, and what chance would reach.

        Raises:
            NotFittedError: before ``fit``.
        """
        draws = stream(seed, "error")
        targets, predictions = [], []
        for x in self._batches(images, batch_size):
            with evaluating(self.encoder_), evaluating(self.head_), torch.no_grad():
                _, _, target, prediction = self._predict(self.encoder_, self.head_, x, draws)
            targets.append(target)
            predictions.append(prediction)
        target = torch.cat(targets)
        parts = (target - torch.cat(predictions)).square().mean(0)
        return TransformationError(float(parts.mean()), float(target.var(0, correction=0).mean()), parts)

    def _head(self, d: int, shape: tuple[int, int, int]) -> nn.Module:
        self._check()
        target = self.transformation.target(self.transformation.sample(2, stream(0, "shape")))
        if target.ndim != 2 or len(target) != 2:
            raise ValueError(
                "`transformation.target` must give one row of numbers for each transformation, (2, p) for two, but "
                f"gave {tuple(target.shape)}."
            )
        linear = nn.Linear(2 * d, target.shape[1])
        head = self.head or getattr(self.transformation, "head", "linear")
        return nn.Sequential(linear, nn.Tanh()) if head == "tanh" else linear

    def _metrics(
        self, encoder: nn.Module, head: nn.Module, x: Float[Tensor, "b c h w"], draws: torch.Generator
    ) -> dict[str, Tensor]:
        t, moved, target, prediction = self._predict(encoder, head, x, draws)
        error = parameter_loss(target, prediction)
        return {"loss": error if self.loss == "parameters" else self._applied(x, t, moved, prediction), "error": error}

    def _predict(
        self, encoder: nn.Module, head: nn.Module, x: Float[Tensor, "b c h w"], draws: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What was drawn, the changed images, the targets, and the predictions."""
        t = self.transformation.sample(len(x), draws)
        t = t.to(x) if t.is_floating_point() else t.to(x.device)
        moved = self.transformation.apply(x, t)
        both = torch.cat([encode(encoder, x), encode(encoder, moved)], dim=1)  # (b, 2d)
        return t, moved, self.transformation.target(t).to(x), head(both)

    def _applied(self, x: Tensor, t: Tensor, moved: Tensor, prediction: Tensor) -> Float[Tensor, ""]:
        """The losses that need the predicted transformation itself."""
        transformation: Any = self.transformation
        t_hat = transformation.from_target(prediction)
        if self.loss == "matrix":
            return matrix_loss(transformation.matrix(t), transformation.matrix(t_hat))
        return image_loss(moved, transformation.apply(x, t_hat))

    def _check(self) -> None:
        if self.loss not in get_args(Loss) or self.head not in (None, *get_args(Head)):
            raise ValueError(
                f"`loss` must be one of {', '.join(get_args(Loss))} and `head` one of {', '.join(get_args(Head))}, but "
                f"they are {self.loss!r} and {self.head!r}."
            )
        kind, methods = NEEDS[self.loss]
        if not isinstance(self.transformation, kind):
            raise TypeError(
                f"The loss {self.loss!r} needs a transformation with the methods {methods}, but "
                f"{type(self.transformation).__name__} lacks some of them."
            )
