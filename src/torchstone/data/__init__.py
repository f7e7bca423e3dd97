"""Data sets: bundled, generated, or read from the user's disk; tensors in, tensors out."""

from torchstone.data.augment import affine_jitter, compose, random_flip, warp
from torchstone.data.batches import Augment, Batches
from torchstone.data.digits import digits
from torchstone.data.fashion_mnist import fashion_mnist
from torchstone.data.folder import images, picture_files
from torchstone.data.glyphs import Glyphs, glyphs
from torchstone.data.image_set import ImageSet
from torchstone.data.omniglot import Omniglot, omniglot
from torchstone.data.streams import stream

__all__ = [
    "Augment",
    "Batches",
    "Glyphs",
    "ImageSet",
    "Omniglot",
    "affine_jitter",
    "compose",
    "digits",
    "fashion_mnist",
    "glyphs",
    "images",
    "omniglot",
    "picture_files",
    "random_flip",
    "stream",
    "warp",
]
