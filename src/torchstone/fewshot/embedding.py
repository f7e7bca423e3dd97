"""From images to rows of features: the encoder frozen, in evaluation mode, the head dropped."""

from collections.abc import Hashable, Iterable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from torchstone.data import Augment, stream
from torchstone.fewshot.classifier import BaseClassifier
from torchstone.fewshot.inputs import batches, check_disjoint, check_images, floats
from torchstone.training import evaluating


def embed(
    encoder: nn.Module, images: Shaped[Tensor, "n ..."], *, batch_size: int = 256, classes: Iterable[Hashable] = ()
) -> Float[Tensor, "n d"]:
    """The features of images, in evaluation mode always: no image sees its neighbours in the batch.

    Args:
        encoder: gives a row or a map for each image; maps are flattened. Of a :class:`BaseClassifier` the head is
            dropped. Afterwards it is in the mode it was in before.
        images: (n, c, h, w), uint8 (divided by 255) or floating point; batches are moved to the encoder's device
            and dtype.
        batch_size: images at a time.
        classes: the names of the images' classes, if they are novel: a :class:`BaseClassifier` that knows the names of
            its base classes refuses what is among these.

    Returns:
        Features (n, d), on the encoder's device.

    Raises:
        ValueError: the images are empty, the features are not finite or not one row an image, or ``classes`` has base
            classes.

    >>> embed(nn.Flatten(), torch.full((2, 1, 2, 2), 255, dtype=torch.uint8))
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.]])
    """
    check_images(images)
    if isinstance(encoder, BaseClassifier):
        check_disjoint(encoder.classes, classes)
        encoder = encoder.encoder
    with evaluating(encoder), torch.no_grad():
        return torch.cat([_features(encoder, batch) for batch in batches(images, batch_size)])


def embed_copies(
    encoder: nn.Module,
    images: Shaped[Tensor, "n c h w"],
    augment: Augment,
    *,
    copies: int = 5,
    seed: int,
    batch_size: int = 256,
) -> Float[Tensor, "n m d"]:
    """The features of m randomly changed copies of each image, the augmented supports of the paper.

    Args:
        encoder: as for :func:`embed`.
        images: (n, c, h, w), as for :func:`embed`.
        augment: the change, such as :func:`torchstone.data.affine_jitter`.
        copies: m.
        seed: of the changes; they also depend on ``batch_size``.
        batch_size: images at a time.

    Returns:
        Features (n, m, d). The images as they are aren't among the copies.

    Raises:
        ValueError: as for :func:`embed`; ``copies`` is below 1.

    >>> from torchstone.data import random_flip
    >>> embed_copies(nn.Flatten(), torch.zeros(3, 1, 2, 2), random_flip(), copies=2, seed=0).shape
    torch.Size([3, 2, 4])

    Paper: Tian, Wang, Krishnan, Tenenbaum, Isola 2020, arXiv:2003.11539, section 4 (released code).
    Differs from the paper: an image has the same copies in every episode.
    """
    check_images(images)
    if copies < 1:
        raise ValueError(f"`copies` must be at least 1, but is {copies}.")

    def copy(j: int) -> Float[Tensor, "n d"]:
        changed = [
            embed(encoder, augment(floats(batch), stream(seed, "copy", (j, number))), batch_size=batch_size)
            for number, batch in enumerate(batches(images, batch_size))
        ]
        return torch.cat(changed)

    return torch.stack([copy(j) for j in range(copies)], dim=1)


def unit_rows(features: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
    """Each row over its Euclidean norm, whatever its scale; a row of zeros stays zeros.

    >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[0.6000, 0.8000],
            [0.0000, 0.0000]])
    """
    largest = features.abs().amax(-1, keepdim=True)
    scaled = features / torch.where(largest > 0, largest, 1)  # so that no square overflows or vanishes
    return nn.functional.normalize(scaled, dim=-1)


def _features(encoder: nn.Module, batch: Shaped[Tensor, "b ..."]) -> Float[Tensor, "b d"]:
    parameter = next(encoder.parameters(), None)
    x = floats(batch)
    x = x if parameter is None else x.to(parameter)
    features = encoder(x)
    if not isinstance(features, Tensor) or features.ndim < 2 or len(features) != len(x):
        given = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(f"`encoder` must give one row of features an image, ({len(x)}, d), but gave {given}. Wrap it.")
    if not features.isfinite().all():
        raise ValueError("`encoder` gave NaN or infinite features: look at its weights and at the scale of the images.")
    return features.flatten(1)
