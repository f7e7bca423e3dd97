"""The pictures of a trial: to learn from without labels, with labels for the probes, and to be tested on."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Shaped
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from torchstone.data import Augment, ImageSet, fashion_mnist, stream
from torchstone.studies.pictures import PICTURES


@dataclass(frozen=True)
class Split:
    """Which pictures, and how many for what.

    Args:
        pictures: ``glyphs``, ``fashion_mnist`` or ``cifar10``.
        classes: how many characters; the others have ten classes.
        side: of the pictures, in pixels.
        labelled: pictures for the probes; all other training pictures are learned from without labels.
        tests: test pictures, or all where there are fewer: of CIFAR-10 only every fifth is read, 2,000.
    """

    pictures: str
    classes: int
    side: int
    labelled: int
    tests: int


@dataclass(frozen=True, eq=False)
class Labelled:
    """Pictures with their classes."""

    images: Shaped[Tensor, "n c h w"]
    labels: Shaped[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class Parts:
    """What a trial uses; the labels of ``unlabelled`` are for the supervised bound alone."""

    unlabelled: Labelled
    labelled: Labelled
    tests: Labelled
    augment: Augment


def parts_of(split: Split, seed: int) -> Parts:
    """The parts that ``seed`` draws: the same for every method."""
    train, held_out, augment = _read(split.pictures, split.classes, split.side)
    order = torch.randperm(len(train.labels), generator=stream(seed, "labelled"))
    tests = torch.randperm(len(held_out.labels), generator=stream(seed, "tests"))[: split.tests]
    aside, rest = order[: split.labelled], order[split.labelled :]
    return Parts(_chosen(train, rest), _chosen(train, aside), _chosen(held_out, tests), augment)


@lru_cache(maxsize=1)
def _read(name: str, classes: int, side: int) -> tuple[Labelled, Labelled, Augment]:
    pictures = PICTURES[name](classes)
    held_out = fashion_mnist(split="test", download=False) if name == "fashion_mnist" else pictures.held_out
    return _sized(pictures.train, side), _sized(held_out, side), pictures.augment


def _sized(pictures: ImageSet, side: int) -> Labelled:
    """The pictures on ``side`` × ``side`` pixels, each the mean of those that it covers."""
    same = pictures.images.shape[-1] == side
    return Labelled(pictures.images if same else adaptive_avg_pool2d(pictures.floats(), side), pictures.labels)


def _chosen(pictures: Labelled, rows: Tensor) -> Labelled:
    return Labelled(pictures.images[rows], pictures.labels[rows])
