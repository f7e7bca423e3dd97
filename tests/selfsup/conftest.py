"""Small images with a direction to them, and a network that learns them in seconds."""

import pytest
import torch
from torch import Tensor, nn

from torchstone.nets import NIN


@pytest.fixture
def images() -> Tensor:
    """A bright bar from the middle to one side, over noise."""
    x = 0.1 * torch.rand(64, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    x[:, :, 5:7, 6:11] += 0.8
    x[:, :, 2:5, 9:11] += 0.5
    return x


@pytest.fixture
def encoder() -> nn.Module:
    return NIN(6, channels=1, seed=0)
