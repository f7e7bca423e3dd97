"""All classes that a network has not seen, for claims that choose nothing on some of them."""

import torch

from torchstone.data import ImageSet


def together(*parts: ImageSet) -> ImageSet:
    """Several sets of different classes as one."""
    before = [sum(len(part.classes) for part in parts[:place]) for place in range(len(parts))]
    return ImageSet(
        torch.cat([part.images for part in parts]),
        torch.cat([part.labels + first for part, first in zip(parts, before, strict=True)]),
        tuple(name for part in parts for name in part.classes),
    )
