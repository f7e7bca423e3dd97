"""Data sets: bundled, generated, or read from the user's disk; tensors in, tensors out."""

from torchstone.data.augment import affine_jitter, compose, random_flip, warp
from torchstone.data.batches import Augment, Batches
from torchstone.data.glyphs import Glyphs, glyphs
from torchstone.data.image_set import ImageSet

__all__ = [
    "Augment",
    "Batches",
    "Glyphs",
    "ImageSet",
    "affine_jitter",
    "compose",
    "glyphs",
    "random_flip",
    "warp",
]
