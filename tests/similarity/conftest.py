"""Small networks and inputs that several test files of this package use."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


def drawn(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A model whose weights come from a generator of its own."""
    with torch.random.fork_rng(devices=[]):
        model = make()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=source) / parameter[0].numel() ** 0.5)
    return model


@pytest.fixture(scope="session")
def mlp() -> Callable[..., nn.Module]:
    def make(seed: int = 0, width: int = 12) -> nn.Module:
        return drawn(
            lambda: nn.Sequential(nn.Linear(6, width), nn.ReLU(inplace=True), nn.Linear(width, 8), nn.Tanh()), seed
        )

    return make


@pytest.fixture(scope="session")
def vectors() -> Callable[..., Tensor]:
    def make(n: int = 40, d: int = 6, seed: int = 1) -> Tensor:
        return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))

    return make
