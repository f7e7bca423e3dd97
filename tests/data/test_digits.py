"""Scikit-learn's digits as bytes."""

import torch
from sklearn.datasets import load_digits

from torchstone.data import digits


def test_the_17_levels_are_spread_over_the_bytes() -> None:
    pictures, original = digits(), load_digits()
    assert torch.equal((pictures.floats()[:, 0] * 16).round().double(), torch.from_numpy(original.images))
    assert pictures.images.unique().tolist() == [round(level * 255 / 16) for level in range(17)]


def test_labels_are_the_digits() -> None:
    pictures = digits()
    assert pictures.labels.tolist() == load_digits().target.tolist()
    assert pictures.classes == tuple("0123456789")
