"""Pictures for the claims that train networks: what to learn from, what to be asked about, and how pictures vary."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, UInt8
from torch import Tensor

from torchstone.data import Augment, ImageSet, affine_jitter, fashion_mnist, glyphs, images, random_flip
from torchstone.lab import Unavailable

HELD_OUT_FACES = (1, 10)  # DejaVu Sans Bold and DejaVu Serif Italic: no network is trained on them


@dataclass(frozen=True)
class Pictures:
    """A data set for a network: to learn from, to look at, and how pictures vary."""

    train: ImageSet
    held_out: ImageSet
    augment: Augment


def glyph_pictures(classes: int) -> Pictures:
    """Random characters in ten typefaces, and the same characters in two others, which draw them differently.

    The slanted or bold faces of a family share many symbols with its upright one. A character of which a held-out
    picture is also among the training pictures is left out.
    """
    letters = glyphs()
    seen = [face for face in range(len(letters.faces)) if face not in HELD_OUT_FACES]
    drawings = letters.images.flatten(2)  # (characters, faces, pixels)
    repeated = [(drawings[:, [face]] == drawings[:, seen]).all(2).any(1) for face in HELD_OUT_FACES]
    candidates = torch.stack(repeated).any(0).logical_not().nonzero().squeeze(1)
    chosen = candidates[torch.randperm(len(candidates), generator=torch.Generator().manual_seed(0))[:classes]]
    train = letters.image_set(classes=chosen, faces=seen)
    held_out = letters.image_set(classes=chosen, faces=HELD_OUT_FACES)
    jitter = affine_jitter(degrees=15, scale=0.15, shear=10, shift=0.1, noise=0.25)
    return Pictures(train, held_out, jitter)


def fashion_pictures(classes: int) -> Pictures:
    """Fashion-MNIST, where it is on this machine; the first 600 test pictures to look at."""
    try:
        train, test = fashion_mnist(split="train", download=False), fashion_mnist(split="test", download=False)
    except FileNotFoundError as error:
        raise Unavailable(str(error)) from error
    return Pictures(train, test.subset(slice(600)), random_flip())


def cifar_pictures(classes: int) -> Pictures:
    """CIFAR-10 as the user has it: ``$TORCHSTONE_DATA/cifar10/{train,test}/<class>/*.png``."""
    root = Path(os.environ.get("TORCHSTONE_DATA", ".")) / "cifar10"
    if not (root / "train").is_dir() or not (root / "test").is_dir():
        raise Unavailable(
            f"The scale 'paper' needs CIFAR-10 as pictures in {root}/train/<class>/ and {root}/test/<class>/. "
            "Set TORCHSTONE_DATA to the folder that holds cifar10."
        )
    train, test = images(root / "train"), images(root / "test")
    return Pictures(train, test.subset(slice(None, None, max(1, len(test) // 2000))), random_flip())


PICTURES: Mapping[str, Callable[[int], Pictures]] = {
    "glyphs": glyph_pictures,
    "fashion_mnist": fashion_pictures,
    "cifar10": cifar_pictures,
}


def distinct(drawings: UInt8[Tensor, "classes faces h w"]) -> Bool[Tensor, " classes"]:
    """Which classes have no drawing that occurs twice, among their own or those of any other class.

    >>> distinct(torch.tensor([[1, 2], [3, 3], [4, 5], [6, 5]], dtype=torch.uint8)[:, :, None, None])
    tensor([ True, False, False, False])
    """
    rows = drawings.flatten(2).flatten(0, 1)
    _, which, counts = torch.unique(rows, dim=0, return_inverse=True, return_counts=True)
    once: Bool[Tensor, "classes faces"] = (counts[which] == 1).view(drawings.shape[:2])
    return once.all(1)
