"""A good embedding: one classifier over all base classes, whose encoder is kept."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int, Int64, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from torchstone.data import Augment, Batches
from torchstone.fewshot.classifier import BaseClassifier, Trained
from torchstone.fewshot.embedding import embed
from torchstone.fewshot.inputs import check_labelled, steps_within
from torchstone.fewshot.recipe import Recipe
from torchstone.training import fit

Loss = Callable[[Float[Tensor, "b ..."], Float[Tensor, "b c"], Int64[Tensor, " b"]], Float[Tensor, ""]]
"""From images, a model's logits for them and their labels to what is minimised."""
Progress = Callable[[float, str], None]
PAPER = Recipe()


def train_embedding(
    encoder: nn.Module,
    images: Shaped[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    *,
    budget: int,
    seed: int,
    recipe: Recipe = PAPER,
    augment: Augment | None = None,
    names: Sequence[Hashable] | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Trained[BaseClassifier]:
    r"""Merge all base tasks into one problem over all base classes, and train encoder and linear head on it.

    .. math:: \min_{\theta, W, b} \mathbb{E}\; \mathrm{CE}(W f_\theta(x) + b,\; y)

    No episodes, no learning to learn: for novel classes the head is dropped and a small classifier is fitted to the
    features of the few examples (:func:`evaluate_episodes`, :class:`FewShotClassifier`).

    Args:
        encoder: :math:`f_\theta`, from images to features; trained in place, on the device where it is.
        images: (n, c, h, w) of base classes; uint8 is divided by 255.
        labels: (n,), any integers.
        budget: images shown in all, repetitions included; whole steps only.
        seed: of the head's first weights, the batches, the augmentation and dropout.
        recipe: optimizer, batch size, schedule.
        augment: a random change of each batch.
        names: ``names[label]`` is the name of a class, as in ``ImageSet.classes``; :func:`embed` then refuses
            novel classes of that name. By default the labels are the names.
        checkpoint: a folder to go on from after a kill; see :func:`torchstone.training.fit`.
        progress: called with the fraction done and a note.

    Returns:
        The classifier (its ``encoder`` is the embedding), loss and accuracy at each step, and the images seen.

    Raises:
        ValueError, TypeError: images and labels don't fit together, there is one class only, or the budget is below
            one batch.

    >>> from torchstone.nets import Conv4
    >>> x = torch.rand(8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> small = Recipe(batch_size=4)
    >>> trained = train_embedding(Conv4(4, channels=1, seed=0), x, torch.arange(8) % 4, budget=9, seed=0, recipe=small)
    >>> trained.images_seen, trained.model.classes
    (8, (0, 1, 2, 3))

    Paper: Tian, Wang, Krishnan, Tenenbaum, Isola 2020, arXiv:2003.11539, section 3.2.
    Differs from the paper: the length is given in images, not in epochs.
    """

    def loss(x: Tensor, logits: Tensor, y: Tensor) -> Tensor:
        return cross_entropy(logits, y)

    return train_classifier(encoder, images, labels, loss, budget, seed, recipe, augment, names, checkpoint, progress)


def train_classifier(
    encoder: nn.Module,
    images: Shaped[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    loss: Loss,
    budget: int,
    seed: int,
    recipe: Recipe,
    augment: Augment | None,
    names: Sequence[Hashable] | None,
    checkpoint: str | Path | None,
    progress: Progress | None,
) -> Trained[BaseClassifier]:
    """Train encoder and a new head on ``loss``; the arguments are those of :func:`train_embedding`."""
    check_labelled(images, labels)
    steps = steps_within(budget, recipe.batch_size)
    classes, targets = base_classes(labels, names)
    d = embed(encoder, images[:1]).shape[1]
    model = BaseClassifier(encoder, d, classes=classes, seed=seed)
    batches = Batches(
        images, targets, size=recipe.batch_size, seed=seed, augment=augment, device=model.head.weight.device
    )

    def objective(batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        x, y = batch[0].to(model.head.weight.dtype), batch[1]
        logits = model(x)
        return {"loss": loss(x, logits, y), "accuracy": (logits.argmax(1) == y).float().mean()}

    player = recipe.player(model, objective, steps)
    history = fit(player, batches, steps=steps, seed=seed, checkpoint=checkpoint, progress=progress)
    return Trained(model, history, steps * recipe.batch_size)


def base_classes(
    labels: Int[Tensor, " n"], names: Sequence[Hashable] | None
) -> tuple[list[Hashable], Int64[Tensor, " n"]]:
    """The name of each class that occurs, and the labels as positions among these."""
    numbers, targets = torch.unique(labels, return_inverse=True)
    if len(numbers) < 2:
        raise ValueError("`labels` has 1 class only: an embedding is trained to tell 2 or more apart.")
    if names is None:
        return numbers.tolist(), targets
    if int(numbers[0]) < 0 or int(numbers[-1]) >= len(names):
        raise ValueError(
            f"`names` has {len(names)} names, so labels must lie between 0 and {len(names) - 1}, but they lie between "
            f"{int(numbers[0])} and {int(numbers[-1])}."
        )
    return [names[number] for number in numbers.tolist()], targets
