"""Initial weights that a seed decides, drawn without a trace in torch's global generators."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside the block torch's CPU generator starts from ``seed``; afterwards it stands where it stood before.

    >>> with seeded(0):
    ...     first = nn.Linear(2, 2)
    >>> with seeded(0):
    ...     again = nn.Linear(2, 2)
    >>> torch.equal(first.weight, again.weight)
    True
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def kaiming(net: nn.Module) -> None:
    r"""Start convolutions from He's initialisation, :math:`W \sim N(0, 2 / (k^2 d_{out}))`, drawn inside ``seeded``."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def check_images(x: torch.Tensor, channels: int, side: int) -> None:
    """Refuse what is no batch of floating-point images with ``channels`` and at least ``side`` pixels a side."""
    if x.ndim != 4 or x.shape[1] != channels or not x.is_floating_point():
        raise ValueError(
            f"This network takes floating-point images of shape (n, {channels}, h, w), but `x` is {x.dtype} of shape "
            f"{tuple(x.shape)}. Divide bytes by 255; reshape the images, or build the network with other `channels`."
        )
    if min(x.shape[2:]) < side:
        raise ValueError(
            f"This network takes images of at least {side}×{side} pixels, since it halves them again and again, but "
            f"`x` has {x.shape[2]}×{x.shape[3]}. Enlarge the images."
        )
