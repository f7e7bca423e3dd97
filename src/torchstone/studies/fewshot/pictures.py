"""Pictures for the claims about few-shot classification: base, validation and novel classes, which share none."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from torchstone.data import (
    Augment,
    ImageSet,
    affine_jitter,
    compose,
    glyphs,
    images,
    omniglot,
    random_flip,
    stream,
)
from torchstone.lab import Unavailable
from torchstone.studies.pictures import distinct

ALPHABETS = ("Balinese", "Early_Aramaic", "Greek", "Japanese_(katakana)", "Korean", "Latin", "Sanskrit", "Tagalog")
GLYPH_SHARES = (0.6, 0.1)  # of the characters, to base and validation; the others are novel
ALPHABET_SHARES = (0.5, 0.25)
QUARTERS = 4


@dataclass(frozen=True)
class FewShotPictures:
    """Classes to train an embedding on, to choose settings on, and to be judged on, and how training pictures vary.

    No class is in two of them; names are those of ``classes``. The novel and validation pictures are as they are: what
    varies them has been done once, so that every method sees the same.
    """

    base: ImageSet
    validation: ImageSet
    novel: ImageSet
    augment: Augment


class Source(Protocol):
    """A data set by its split (which classes are base, validation, novel) and the side of its pictures in pixels."""

    def __call__(self, split: int, size: int) -> FewShotPictures:
        """The pictures."""


def glyph_pictures(split: int, size: int) -> FewShotPictures:
    """Characters in twelve typefaces: 60 % of them base, 10 % validation, 30 % novel, drawn by ``split``.

    Characters that two typefaces draw alike to the pixel, or that look like another one in some typeface, are left out:
    a query would otherwise be found among the supports. Validation and novel pictures are jittered once.
    """
    letters = glyphs()
    usable = distinct(letters.images).nonzero().squeeze(1)
    order = usable[torch.randperm(len(usable), generator=stream(split, "glyphs"))]
    base, validation, novel = (
        _scaled(letters.image_set(classes=rows.sort().values), size) for rows in _parted(order, GLYPH_SHARES)
    )
    jitter = affine_jitter(degrees=20, scale=0.2, shear=14, shift=0.1, noise=0.1)
    return FewShotPictures(
        base,
        _changed(validation, jitter, stream(split, "validation jitter")),
        _changed(novel, jitter, stream(split, "novel jitter")),
        jitter,
    )


def omniglot_pictures(split: int, size: int) -> FewShotPictures:
    """Handwritten characters of eight alphabets: four base, two validation, two novel, drawn by ``split``.

    The eight alphabets are those of Omniglot's two small background sets. Base characters turned by 90, 180 and 270
    degrees are classes of their own, as is usual; the others are upright.
    """
    root = Path(os.environ.get("TORCHSTONE_DATA", ".")) / "omniglot"
    try:
        drawings = omniglot(root, size=size)
    except FileNotFoundError as error:
        raise Unavailable(f"{error} Set TORCHSTONE_DATA to the folder that holds omniglot.") from error
    missing = sorted(set(ALPHABETS) - set(drawings.alphabets))
    if missing:
        raise Unavailable(f"{root} lacks the alphabets {', '.join(missing)}: get images_background_small1 and 2.")
    order = torch.randperm(len(ALPHABETS), generator=stream(split, "omniglot"))
    base, validation, novel = (
        _of_alphabets(drawings, drawings.alphabets, {ALPHABETS[i] for i in part.tolist()})
        for part in _parted(order, ALPHABET_SHARES)
    )
    jitter = affine_jitter(degrees=15, scale=0.15, shear=10, shift=0.07, noise=0)
    return FewShotPictures(turned(base), validation, novel, jitter)


def mini_imagenet_pictures(split: int, size: int) -> FewShotPictures:
    """miniImageNet as the user has it: 64 base, 16 validation and 20 novel classes, whatever ``split`` says."""
    return _of_folders("mini_imagenet", size)


def cifar_fs_pictures(split: int, size: int) -> FewShotPictures:
    """CIFAR-FS as the user has it: 64 base, 16 validation and 20 novel classes, whatever ``split`` says."""
    return _of_folders("cifar_fs", size)


PICTURES: Mapping[str, Source] = {
    "glyphs": glyph_pictures,
    "omniglot": omniglot_pictures,
    "mini_imagenet": mini_imagenet_pictures,
    "cifar_fs": cifar_fs_pictures,
}


def turned(pictures: ImageSet) -> ImageSet:
    """Each class four times: upright and turned by 90, 180 and 270 degrees, as classes of their own."""
    quarters = range(QUARTERS)
    return ImageSet(
        torch.cat([pictures.images.rot90(quarter, dims=(2, 3)) for quarter in quarters]),
        torch.cat([pictures.labels + quarter * len(pictures.classes) for quarter in quarters]),
        tuple(
            f"{name}, turned {90 * quarter}°" if quarter else name for quarter in quarters for name in pictures.classes
        ),
    )


def _parted(order: Tensor, shares: Sequence[float]) -> tuple[Tensor, ...]:
    """The first, the next, and the rest."""
    counts = [round(share * len(order)) for share in shares]
    return order.split([*counts, len(order) - sum(counts)])  # type: ignore[no-untyped-call, no-any-return]


def _scaled(pictures: ImageSet, size: int) -> ImageSet:
    if pictures.images.shape[-1] == size:
        return pictures
    return _stored(pictures, interpolate(pictures.floats(), size=(size, size), mode="area"))


def _changed(pictures: ImageSet, change: Augment, generator: torch.Generator) -> ImageSet:
    return _stored(pictures, change(pictures.floats(), generator))


def _stored(pictures: ImageSet, x: Tensor) -> ImageSet:
    """``x`` as the bytes of ``pictures``."""
    return replace(pictures, images=(255 * x).round().to(torch.uint8))


def _of_alphabets(drawings: ImageSet, alphabets: Sequence[str], chosen: set[str]) -> ImageSet:
    """The characters of some alphabets, numbered anew."""
    mine = [label for label, alphabet in enumerate(alphabets) if alphabet in chosen]
    rows = torch.isin(drawings.labels, torch.tensor(mine))
    _, labels = torch.unique(drawings.labels[rows], return_inverse=True)
    return ImageSet(drawings.images[rows], labels, tuple(drawings.classes[label] for label in mine))


def _of_folders(name: str, size: int) -> FewShotPictures:
    root = Path(os.environ.get("TORCHSTONE_DATA", ".")) / name
    parts = [root / part for part in ("train", "val", "test")]
    if not all(part.is_dir() for part in parts):
        raise Unavailable(
            f"The scale 'paper' needs pictures in {root}/train/<class>/, {root}/val/<class>/ and {root}/test/<class>/. "
            f"Set TORCHSTONE_DATA to the folder that holds {name}."
        )
    base, validation, novel = (images(part, size=size) for part in parts)
    shifted = affine_jitter(degrees=0, scale=0, shear=0, shift=0.1, noise=0)
    return FewShotPictures(base, validation, novel, compose(random_flip(), shifted))
