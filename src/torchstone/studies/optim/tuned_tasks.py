"""What learning rules are tuned on: pictures to learn from, to select on and to be tested on, and small networks."""

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import adaptive_avg_pool2d

from torchstone.data import Augment, ImageSet, fashion_mnist, images
from torchstone.lab import Unavailable
from torchstone.studies.optim.small_networks import initialised, small_network
from torchstone.studies.pictures import Pictures, cifar_pictures, fashion_pictures, glyph_pictures

VALIDATION = 2000  # pictures to select on
TEST_SEED = 2**32  # of the changes of test pictures: no trial has it
HIDDEN = 100
CHANNELS = 8, 16

Inner = tuple[ImageSet, ImageSet]
"""Pictures to learn from, and to select on."""


@dataclass(frozen=True)
class Task:
    """What is learned by what.

    Args:
        pictures: ``glyph views``, ``glyph typefaces``, ``fashion_mnist``, ``mnist`` or ``cifar10``.
        classes: how many characters; the others have ten classes.
        side: of the pictures, in pixels.
        count: how many training pictures; of glyphs, as many more as whole rounds through the drawings need.
        network: ``logistic``, ``mlp``, ``conv`` or ``deep``.
        schedule: how the learning rate falls: ``constant``, ``inverse sqrt`` or ``cosine``.
        batch: examples a batch.
    """

    pictures: str
    classes: int
    side: int
    count: int
    network: str
    schedule: str
    batch: int


def pictures_of(task: Task, seed: int) -> tuple[Inner, ImageSet]:
    """Pictures to learn from and to select on, drawn by ``seed``, and the test pictures, the same for all seeds."""
    return _pictures(task.pictures, task.classes, task.count, task.side, seed)


@lru_cache(maxsize=4)
def _pictures(name: str, classes: int, count: int, side: int, seed: int) -> tuple[Inner, ImageSet]:
    generator = torch.Generator().manual_seed(seed)
    if name in GLYPHS:
        (train, validation), test = GLYPHS[name](glyph_pictures(classes), count, generator)
    else:
        (train, validation), test = _split(*READ[name](), count, generator)
    return (shrunk(train, side), shrunk(validation, side)), shrunk(test, side)


def shrunk(pictures: ImageSet, side: int) -> ImageSet:
    """The pictures on ``side`` × ``side`` pixels, each the mean of those that it covers."""
    if pictures.images.shape[-1] == side:
        return pictures
    small = adaptive_avg_pool2d(pictures.floats(), side).mul(255).round().to(torch.uint8)
    return ImageSet(small, pictures.labels, pictures.classes)


def _split(pool: ImageSet, test: ImageSet, count: int, generator: torch.Generator) -> tuple[Inner, ImageSet]:
    order = torch.randperm(len(pool), generator=generator)
    aside = min(VALIDATION, len(pool) // 5)
    return (pool.subset(order[aside : aside + count]), pool.subset(order[:aside])), test


def views(glyphs: Pictures, count: int, generator: torch.Generator) -> tuple[Inner, ImageSet]:
    """Every split shows the same drawings, each time turned, sheared and moved in another way, with other noise."""
    train = drawn(glyphs.train, count, glyphs.augment, generator)
    validation = drawn(glyphs.train, min(count, VALIDATION), glyphs.augment, generator)
    return (train, validation), _tests(glyphs.train, glyphs.augment)


def typefaces(glyphs: Pictures, count: int, generator: torch.Generator) -> tuple[Inner, ImageSet]:
    """A fifth of the drawings to select on; the test split shows the same characters in two other typefaces."""
    order = torch.randperm(len(glyphs.train), generator=generator)
    aside = len(order) // 5
    train = drawn(glyphs.train.subset(order[aside:]), count, glyphs.augment, generator)
    validation = drawn(glyphs.train.subset(order[:aside]), min(count, VALIDATION), glyphs.augment, generator)
    return (train, validation), _tests(glyphs.held_out, glyphs.augment)


def drawn(drawings: ImageSet, count: int, augment: Augment, generator: torch.Generator) -> ImageSet:
    """At least ``count`` pictures: all drawings as often as that needs, each time changed at random."""
    repeated = drawings.subset(torch.arange(len(drawings)).repeat(math.ceil(count / len(drawings))))
    changed = augment(repeated.floats(), generator).mul(255).round().to(torch.uint8)
    return ImageSet(changed, repeated.labels, drawings.classes)


def _tests(drawings: ImageSet, augment: Augment) -> ImageSet:
    return drawn(drawings, VALIDATION, augment, torch.Generator().manual_seed(TEST_SEED))


@lru_cache(maxsize=1)
def _fashion() -> Inner:
    return fashion_pictures(10).train, fashion_mnist(split="test", download=False)


def _mnist() -> Inner:
    """MNIST as the user has it: ``$TORCHSTONE_DATA/mnist/{train,test}/<class>/*.png``."""
    root = Path(os.environ.get("TORCHSTONE_DATA", ".")) / "mnist"
    if not (root / "train").is_dir() or not (root / "test").is_dir():
        raise Unavailable(
            f"The scale 'paper' needs MNIST as pictures in {root}/train/<class>/ and {root}/test/<class>/. "
            "Set TORCHSTONE_DATA to the folder that holds mnist."
        )
    return images(root / "train"), images(root / "test")


def _cifar() -> Inner:
    pictures = cifar_pictures(10)
    return pictures.train, pictures.held_out


GLYPHS = {"glyph views": views, "glyph typefaces": typefaces}
READ: Mapping[str, Callable[[], Inner]] = {"fashion_mnist": _fashion, "mnist": _mnist, "cifar10": _cifar}


def network_of(task: Task, pictures: ImageSet, seed: int) -> nn.Module:
    """The task's network for such pictures; its initial weights depend on ``seed`` alone."""
    channels, classes = pictures.images.shape[1], len(pictures.classes)
    if task.network == "deep":
        return small_network("batch norm", classes, channels=channels, width=8.0, seed=seed)
    with torch.device("meta"):
        network = LAYERS[task.network](pictures.images[0].numel(), channels, classes)
        network(torch.empty(1, *pictures.images.shape[1:]))  # tells lazy layers their sizes
    return initialised(network.to_empty(device="cpu"), torch.Generator().manual_seed(seed))


def _logistic(pixels: int, channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes))


def _mlp(pixels: int, channels: int, classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))


def _conv(pixels: int, channels: int, classes: int) -> nn.Sequential:
    """Two 5×5 convolutions of stride 2, each followed by ReLU, and logits."""
    first, second = CHANNELS
    one, two = (nn.Conv2d(*ends, 5, stride=2, padding=2) for ends in ((channels, first), (first, second)))
    return nn.Sequential(one, nn.ReLU(), two, nn.ReLU(), nn.Flatten(), nn.LazyLinear(classes))


LAYERS: Mapping[str, Callable[[int, int, int], nn.Sequential]] = {"logistic": _logistic, "mlp": _mlp, "conv": _conv}
