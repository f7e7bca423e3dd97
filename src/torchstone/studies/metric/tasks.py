"""What the losses learn from, are selected on and are tested on: pictures of classes that the parts do not share."""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import torch
from torch.nn.functional import adaptive_avg_pool2d

from torchstone.data import Augment, ImageSet, affine_jitter, compose, glyphs, images, omniglot, random_flip, stream
from torchstone.lab import Unavailable
from torchstone.metric import class_disjoint_folds, class_disjoint_split
from torchstone.studies.pictures import distinct

VIEWS = 4  # of each drawing, to learn from
JITTER = affine_jitter(degrees=10, scale=0.1, shear=10, shift=0.07, noise=0.1)
PHOTOS = compose(random_flip(), affine_jitter(degrees=0, scale=0.3, shear=0, shift=0.15, noise=0))
STROKES = affine_jitter(degrees=15, scale=0.15, shear=10, shift=0.07, noise=0)


@dataclass(frozen=True)
class Task:
    """What is learned by what.

    Args:
        pictures: ``glyphs``; ``omniglot``, which :func:`torchstone.data.omniglot` reads from ``$TORCHSTONE_DATA``; or
            the name of a folder there with a folder for each class.
        base: classes for training and validation; all but glyphs give the first half of their classes.
        test: classes to be tested on; a folder gives the others.
        side: of the pictures, in pixels.
        folds: of the base classes; each trains on all but one part of them, and validates on that.
        network: ``small`` or ``resnet12``.
        dim: features of an embedding.
    """

    pictures: str
    base: int
    test: int
    side: int
    folds: int
    network: str
    dim: int


FOLDERS = (
    *(Task(name, 0, 0, 84, 4, "resnet12", 128) for name in ("cub200", "cars196", "sop")),
    Task("omniglot", 0, 0, 28, 4, "small", 128),
)
"""The paper's three, and handwriting, as the user has them."""


class Fold(NamedTuple):
    """Pictures of some classes to learn from, and of others to select on."""

    train: ImageSet
    validation: ImageSet


class Parts(NamedTuple):
    """The folds of the base classes, the pictures to be tested on, and how pictures to learn from vary."""

    folds: tuple[Fold, ...]
    test: ImageSet
    augment: Augment | None


def parts_of(task: Task, seed: int) -> Parts:
    """The parts, of which no two share a class that a model learns from; of glyphs, drawn by ``seed``."""
    return _glyph_parts(task, seed) if task.pictures == "glyphs" else _folder_parts(task)


@lru_cache(maxsize=2)
def _glyph_parts(task: Task, seed: int) -> Parts:
    letters = glyphs()
    candidates = distinct(letters.images).nonzero().squeeze(1)
    order = candidates[torch.randperm(len(candidates), generator=stream(seed, "characters"))]
    base = letters.image_set(classes=order[: task.base])
    test = letters.image_set(classes=order[task.base : task.base + task.test])
    views = base.subset(torch.arange(len(base)).repeat_interleave(VIEWS))
    learned, seen = (drawn(part, task.side, stream(seed, name)) for name, part in [("learn", views), ("see", base)])
    return Parts(folds_of(learned, seen, task.folds), drawn(test, task.side, stream(seed, "test")), None)


def drawn(drawings: ImageSet, side: int, generator: torch.Generator) -> ImageSet:
    """Each drawing turned, sheared, moved and with noise, on ``side`` × ``side`` pixels."""
    small = adaptive_avg_pool2d(JITTER(drawings.floats(), generator), side)
    return ImageSet(small.mul(255).round().to(torch.uint8), drawings.labels, drawings.classes)


def folds_of(learned: ImageSet, seen: ImageSet, folds: int) -> tuple[Fold, ...]:
    """Folds over the classes: to learn from the one set of pictures, to select on the other."""
    pairs = zip(class_disjoint_folds(learned.labels, folds), class_disjoint_folds(seen.labels, folds), strict=True)
    return tuple(
        Fold(renumbered(learned.subset(one.train)), renumbered(seen.subset(two.validation))) for one, two in pairs
    )


def renumbered(pictures: ImageSet) -> ImageSet:
    """The same pictures with labels from 0 on, without gaps."""
    classes, labels = pictures.labels.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    return ImageSet(pictures.images, labels, tuple(pictures.classes[which] for which in classes.tolist()))


@lru_cache(maxsize=1)
def _folder_parts(task: Task) -> Parts:
    root = Path(os.environ.get("TORCHSTONE_DATA", ".")) / task.pictures
    if not root.is_dir():
        raise Unavailable(
            f"This trial needs the pictures of {task.pictures} in {root}: a folder for each class, or Omniglot's zips. "
            f"Put them there, or set TORCHSTONE_DATA to the folder that holds {task.pictures}."
        )
    written = task.pictures == "omniglot"
    pictures = omniglot(root, size=task.side) if written else images(root, size=task.side)
    inside, outside = class_disjoint_split(pictures.labels)
    base = pictures.subset(inside)
    held_out = renumbered(pictures.subset(outside))
    return Parts(folds_of(base, base, task.folds), held_out, STROKES if written else PHOTOS)
