"""Handwritten digits, 8×8: scikit-learn's copy of the UCI test set."""

import torch

from torchstone.data.image_set import ImageSet


def digits() -> ImageSet:
    """1,797 handwritten digits of 8×8 pixels in 10 classes; comes with scikit-learn.

    Returns:
        Images (1797, 1, 8, 8), ink 255; the original's 17 grey levels v = 0 ... 16 become round(v · 255 / 16).

    Example:
        >>> digits()
        ImageSet(images=(1797, 1, 8, 8), classes=10)
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    levels = torch.from_numpy(bunch.images) * (255 / 16)
    images = levels.round().to(torch.uint8).unsqueeze(1)
    return ImageSet(images, torch.from_numpy(bunch.target).to(torch.int64), tuple(map(str, bunch.target_names)))
