"""What all of few-shot learning asks of its inputs: disjoint classes, labels, images, a budget."""

from collections.abc import Hashable, Iterable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from torchstone.data.image_set import unit_floats

NAMED = 5  # classes that an error lists before it only counts the rest


def check_disjoint(base: Iterable[Hashable], novel: Iterable[Hashable]) -> None:
    """Refuse novel classes that the embedding was trained on: a few-shot result on them would say nothing.

    Args:
        base: names (or numbers) of the classes that the encoder was trained on.
        novel: those of the classes that it is tested on.

    Raises:
        ValueError: some are in both; the message names them.

    >>> check_disjoint(["cat", "dog"], ["owl"])
    """
    known = set(base)
    shared = [name for name in dict.fromkeys(novel) if name in known]
    if shared:
        more = f" and {len(shared) - NAMED} more" if len(shared) > NAMED else ""
        raise ValueError(
            f"Base and novel classes must be disjoint, but both have {', '.join(map(repr, shared[:NAMED]))}{more}. "
            "Take these classes out of one of the two."
        )


def check_labels(labels: Int[Tensor, " n"]) -> None:
    """Refuse labels that are not a vector of integers with at least one entry."""
    if not isinstance(labels, Tensor):
        raise TypeError(f"`labels` is a {type(labels).__name__}: a tensor of class numbers is needed.")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"`labels` has dtype {labels.dtype}: class numbers are integers. Convert them: labels.long().")
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"`labels` has shape {tuple(labels.shape)}: one class number for each example is needed.")


def check_images(images: Shaped[Tensor, "n ..."]) -> None:
    """Refuse what is no batch of uint8 or floating-point images."""
    if not isinstance(images, Tensor):
        raise TypeError(f"`images` is a {type(images).__name__}: a tensor (n, c, h, w) is needed.")
    if images.ndim < 2 or not images.numel():
        raise ValueError(
            f"`images` has shape {tuple(images.shape)}: one example a row is needed, such as (n, c, h, w)."
        )
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise TypeError(f"`images` must be uint8 (0 to 255) or floating point, but has dtype {images.dtype}.")


def check_labelled(images: Shaped[Tensor, "n ..."], labels: Int[Tensor, " n"]) -> None:
    """Refuse images and labels that don't belong together."""
    check_images(images)
    check_labels(labels)
    if len(images) != len(labels):
        raise ValueError(f"`images` has {len(images)} rows but `labels` {len(labels)}: one label an image is needed.")


def floats(images: Shaped[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
    """Bytes as numbers in [0, 1], numbers as they are."""
    return images if images.is_floating_point() else unit_floats(images)


def batches(images: Shaped[Tensor, "n ..."], size: int) -> list[Shaped[Tensor, "b ..."]]:
    """All images in order, ``size`` at a time."""
    if size < 1:
        raise ValueError(f"`batch_size` must be at least 1, but is {size}.")
    return [images[start : start + size] for start in range(0, len(images), size)]


def steps_within(budget: int, images_a_step: int) -> int:
    """How many training steps a budget of images allows."""
    if budget < images_a_step:
        raise ValueError(
            f"`budget` is {budget} images, but one step takes {images_a_step}. Raise the budget or make steps smaller."
        )
    return budget // images_a_step
