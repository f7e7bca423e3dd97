"""Small convolutional networks that differ in nothing but their normalisation, and the pictures they learn from."""

from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from torchstone.data import ImageSet, fashion_mnist
from torchstone.studies.pictures import PICTURES, Pictures

WIDTHS, STRIDES = (16, 16, 32, 32), (2, 1, 2, 1)
GROUPS, POOLED_SIDE = 4, 7
FASHION_TESTS = 4000
BATCH = 500

NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "batch norm": nn.BatchNorm2d,
    "group norm": lambda width: nn.GroupNorm(GROUPS, width),
    "no norm": lambda width: nn.Identity(),
}


def small_network(norm: str, classes: int, *, channels: int, width: float, seed: int) -> nn.Sequential:
    """Four 3×3 convolutions with ``norm`` and ReLU, maps of 7×7, logits; He's initial weights from ``seed``."""
    widths = [channels, *(round(w * width) for w in WIDTHS)]
    layers: list[nn.Module] = []
    with torch.device("meta"):
        for before, after, stride in zip(widths, widths[1:], STRIDES, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride=stride, padding=1), NORMS[norm](after), nn.ReLU()]
        network = nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(POOLED_SIDE), nn.Flatten(), nn.Linear(widths[-1] * POOLED_SIDE**2, classes)
        )
    return initialised(network.to_empty(device="cpu"), torch.Generator().manual_seed(seed))


@torch.no_grad()
def initialised(network: nn.Sequential, generator: torch.Generator) -> nn.Sequential:
    """He's weights for convolutions, weights of variance 1 / fan-in for logits, biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=generator)
        elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
            module.reset_parameters()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return network


def few_pictures(name: str, classes: int, count: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """``count`` training pictures, drawn by ``seed``, and the test pictures, the same for all."""
    pictures = _read(name, classes)
    n = len(pictures.train)
    chosen = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:count]
    return pictures.train.subset(chosen), pictures.held_out


@lru_cache(maxsize=2)
def _read(name: str, classes: int) -> Pictures:
    pictures = PICTURES[name](classes)
    if name != "fashion_mnist":
        return pictures
    tests = fashion_mnist(split="test", download=False).subset(slice(FASHION_TESTS))
    return Pictures(pictures.train, tests, pictures.augment)


@torch.no_grad()
def accuracy_and_loss(network: nn.Module, pictures: ImageSet, device: torch.device) -> tuple[float, float]:
    """Accuracy in percent and mean cross-entropy, in evaluation mode."""
    network.eval()
    labels = pictures.labels.to(device)
    parts = (slice(first, first + BATCH) for first in range(0, len(pictures), BATCH))
    logits = torch.cat([network(pictures.floats(part).to(device)) for part in parts])
    return 100 * float((logits.argmax(1) == labels).double().mean()), float(cross_entropy(logits, labels))
