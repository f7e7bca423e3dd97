"""The plain convolutional family of the CKA paper: Tiny-10, Plain-(8n+2), Width-n; each a table for one function."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Row(NamedTuple):
    """``repeat`` equal blocks of convolution (no bias), batch normalisation and ReLU.

    Args:
        width: output channels.
        stride: step of the convolution, in pixels.
        kernel: side of the square kernel, in pixels.
        padding: zeros added on each side, in pixels; 1 keeps the size of a 3×3 convolution ("same"), 0 is "valid".
        repeat: how many such blocks follow one another.
    """

    width: int
    stride: int = 1
    kernel: int = 3
    padding: int = 1
    repeat: int = 1


TINY_10 = (
    Row(16, repeat=2),
    Row(32, stride=2),
    Row(32, repeat=2),
    Row(64, stride=2),
    Row(64, padding=0),
    Row(64, kernel=1, padding=0),
)


class PlainNet(nn.Sequential):
    """Blocks, global average pool, linear logits, each under the name of its representation; made by :func:`plain`.

    The children are ``block1`` ... ``blockL`` (outputs after the ReLU, (n, width, h, w)), ``pool`` (n, width) and
    ``logits`` (n, classes).

    Args:
        rows: the table, repeats included.
        classes: width of the logits.
        channels: channels of the input images.
    """

    def __init__(self, rows: Sequence[Row], classes: int, channels: int) -> None:
        blocks = [row._replace(repeat=1) for row in rows for _ in range(row.repeat)]
        widths = [channels, *(row.width for row in blocks)]
        parts = {
            f"block{i}": _block(*ends, row)
            for i, (ends, row) in enumerate(zip(pairwise(widths), blocks, strict=True), 1)
        }
        parts["pool"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        parts["logits"] = nn.Linear(widths[-1], classes)
        super().__init__(OrderedDict(parts))
        self.channels = channels
        self.smallest_side = _smallest_side(blocks)

    def forward(self, input: Float[Tensor, "n c h w"]) -> Float[Tensor, "n classes"]:
        """Logits of a batch of images.

        Raises:
            ValueError: the images have another rank or number of channels, or are too small for the convolutions.
        """
        if input.ndim != 4 or input.shape[1] != self.channels:
            raise ValueError(
                f"This network takes images of shape (n, {self.channels}, h, w), but `input` has shape "
                f"{tuple(input.shape)}. Reshape the images or build the network with another `channels`."
            )
        if min(input.shape[2:]) < self.smallest_side:
            raise ValueError(
                f"This network takes images of at least {self.smallest_side}×{self.smallest_side} pixels, but `input` "
                f"has {input.shape[2]}×{input.shape[3]}: its unpadded convolutions would have nothing left. "
                f"Enlarge the images, or build the network from a table with fewer strides or with padding."
            )
        logits: Tensor = super().forward(input)  # type: ignore[no-untyped-call]
        return logits


def plain(rows: Sequence[Row], classes: int, *, channels: int = 3, width: float = 1.0, seed: int) -> PlainNet:
    r"""Build the network that a table describes: :math:`h_i = \mathrm{ReLU}(\mathrm{BN}(W_i * h_{i-1}))`, pool, logits.

    Convolutions start from He's initialisation, :math:`W \sim N(0, 2 / (k^2 d_{out}))` with kernel side :math:`k` and
    :math:`d_{out}` output channels; the logits' weights from :math:`N(0, 1 / d_{in})`; scales are 1, biases 0.

    Args:
        rows: the table, for example :data:`TINY_10` or ``plain_table(1)``.
        classes: number of classes c, the width of the logits.
        channels: channels of the input images: 1 for grey, 3 for colour.
        width: factor on every width of the table; products are rounded, to 1 at least.
        seed: seed of the initial weights; the global generators are not used.

    Returns:
        A network from images (n, channels, h, w) to logits (n, classes), in training mode, on the CPU, in float32. Its
        children ``block1`` ... ``blockL``, ``pool`` and ``logits`` are its representations.

    Raises:
        ValueError: the table is empty, or a number is below what makes sense.

    Example:
        >>> net = plain([Row(8), Row(16, stride=2, repeat=2)], classes=10, channels=1, seed=0)
        >>> [name for name, _ in net.named_children()]
        ['block1', 'block2', 'block3', 'pool', 'logits']
        >>> net(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])

    Paper:
        Kornblith, Norouzi, Lee, Hinton, 2019, arXiv:1905.00414, appendix E.

    Differs from the paper:
        the initialisation, which the paper leaves open.
    """
    _check(rows, classes, channels, width)
    wide = [row._replace(width=max(1, round(row.width * width))) for row in rows]
    with torch.device("meta"):
        net = PlainNet(wide, classes, channels)
    return _initialise(net.to_empty(device="cpu"), torch.Generator().manual_seed(seed))


def tiny10(classes: int, *, channels: int = 3, width: float = 1.0, seed: int) -> PlainNet:
    """Tiny-10: eight convolutions of 16 to 64 channels, pool, logits (the network of the paper's Table 2).

    Args:
        classes: number of classes c.
        channels: channels of the input images (n, channels, h, w); h and w from 9 pixels.
        width: factor on every width.
        seed: seed of the initial weights.

    Returns:
        The network; see :func:`plain`.

    Raises:
        ValueError: a number is below what makes sense.

    Example:
        >>> net = tiny10(10, seed=0)
        >>> sum(weights.numel() for weights in net.parameters())
        86458

    Paper:
        Kornblith, Norouzi, Lee, Hinton, 2019, arXiv:1905.00414, appendix E.

    Differs from the paper:
        the initialisation, which the paper leaves open.
    """
    return plain(TINY_10, classes, channels=channels, width=width, seed=seed)


def width_n(n: int, classes: int, *, channels: int = 3, seed: int) -> PlainNet:
    """Width-n: Tiny-10 with ``n`` channels in every convolution (the paper's Figure 6: 4, 16, ..., 4096).

    Args:
        n: channels of every convolution.
        classes: number of classes c.
        channels: channels of the input images.
        seed: seed of the initial weights.

    Returns:
        The network; see :func:`plain`.

    Raises:
        ValueError: a number is below what makes sense.

    Example:
        >>> width_n(4, 10, seed=0).logits
        Linear(in_features=4, out_features=10, bias=True)

    Paper:
        Kornblith, Norouzi, Lee, Hinton, 2019, arXiv:1905.00414, appendix E.

    Differs from the paper:
        the initialisation, which the paper leaves open.
    """
    return plain([row._replace(width=n) for row in TINY_10], classes, channels=channels, seed=seed)


def plain_table(n: int) -> tuple[Row, ...]:
    """The table of Plain-(8n+2): 8n convolutions of 96 and 192 channels.

    Args:
        n: depth; 1, 2, 4 and 8 give Plain-10, Plain-18, Plain-34 and Plain-66.

    Returns:
        Rows for :func:`plain`.

    Raises:
        ValueError: ``n`` is below 1.

    Example:
        >>> sum(row.repeat for row in plain_table(2))
        16

    Paper:
        Kornblith, Norouzi, Lee, Hinton, 2019, arXiv:1905.00414, appendix E.

    Differs from the paper:
        nothing.
    """
    if n < 1:
        raise ValueError(f"`n` of Plain-(8n+2) must be at least 1, but is {n}. Plain-10 has n = 1.")
    return (
        Row(96, repeat=3 * n - 1),
        Row(96, stride=2),
        Row(192, repeat=3 * n - 1),
        Row(192, stride=2),
        Row(192, repeat=n - 1),
        Row(192, padding=0),
        Row(192, kernel=1, padding=0, repeat=n),
    )


def _block(before: int, after: int, row: Row) -> nn.Module:
    conv = nn.Conv2d(before, after, row.kernel, stride=row.stride, padding=row.padding, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, norm=nn.BatchNorm2d(after), relu=nn.ReLU()))


def _smallest_side(blocks: Sequence[Row]) -> int:
    """The least input side, in pixels, that leaves one pixel after the last block."""
    side = 1
    for row in reversed(blocks):
        side = max(1, (side - 1) * row.stride + row.kernel - 2 * row.padding)
    return side


@torch.no_grad()
def _initialise(net: PlainNet, generator: torch.Generator) -> PlainNet:
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="linear", generator=generator)
            nn.init.zeros_(module.bias)
    return net


def _check(rows: Sequence[Row], classes: int, channels: int, width: float) -> None:
    if not sum(row.repeat for row in rows):
        raise ValueError("`rows` must have at least one block, but the table is empty.")
    for row in rows:
        if min(row.width, row.stride, row.kernel) < 1 or min(row.padding, row.repeat) < 0:
            raise ValueError(f"`rows` must have positive widths, strides and kernels, but one row is {row}.")
    if min(classes, channels) < 1:
        raise ValueError(f"`classes` and `channels` must be at least 1, but are {classes} and {channels}.")
    if not 0 < width < float("inf"):
        raise ValueError(f"`width` multiplies the widths of the table and must be positive, but is {width}.")
