"""NIN: the network in network that predicting transformations is studied on."""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from torchstone.nets.seeded import check_images, kaiming, seeded

SMALLEST = 4  # pixels a side, which two poolings leave


class NIN(nn.Module):
    r"""Four blocks of a k×k convolution and two 1×1 convolutions, then the mean over the map: ``width`` features.

    Each convolution (no bias, padded) is followed by batch normalisation and ReLU. ``block1`` (5×5; widths w, ⅚w, ½w)
    ends in a max pooling, ``block2`` (5×5) in an average pooling, both 3×3 with stride 2; ``block3`` and ``block4`` are
    3×3. The children ``block1`` ... ``block4`` are maps (n, ·, h, w), ``pool`` is (n, width).

    Args:
        width: w, of all convolutions but those of the first block; 192 in the paper.
        channels: channels of the images: 1 for grey, 3 for colour.
        seed: of the initial weights, He's; the global generators stay as they are.

    Raises:
        ValueError: ``width`` is below 2 or ``channels`` below 1; from the forward pass, images of another shape.

    Example:
        >>> import torch
        >>> net = NIN(24, channels=1, seed=0)
        >>> [name for name, _ in net.named_children()], net(torch.zeros(5, 1, 28, 28)).shape
        (['block1', 'block2', 'block3', 'block4', 'pool'], torch.Size([5, 24]))

    Paper: Zhang, Qi, Wang, Luo 2019, arXiv:1901.04596, section 5.1 and the released code; after Lin, Chen, Yan 2013,
        arXiv:1312.4400.
    Differs from the paper: nothing at ``width`` 192.
    """

    def __init__(self, width: int = 192, *, channels: int = 3, seed: int) -> None:
        if width < 2 or channels < 1:
            raise ValueError(f"`width` must be at least 2 and `channels` 1, but they are {width} and {channels}.")
        super().__init__()
        half = width // 2
        with seeded(seed):
            self.block1 = _block(5, channels, width, round(width * 5 / 6), half, pool=nn.MaxPool2d(3, 2, padding=1))
            self.block2 = _block(5, half, width, width, width, pool=nn.AvgPool2d(3, 2, padding=1))
            self.block3 = _block(3, width, width, width, width)
            self.block4 = _block(3, width, width, width, width)
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            kaiming(self)
        self.channels = channels

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features of a batch of images with sides of 4 pixels or more."""
        check_images(x, self.channels, SMALLEST)
        maps = self.block4(self.block3(self.block2(self.block1(x))))
        features: Tensor = self.pool(maps)
        return features


def _block(kernel: int, *widths: int, pool: nn.Module | None = None) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(widths)):
        side = 1 if i else kernel
        convolution = nn.Conv2d(before, after, side, padding=side // 2, bias=False)
        layers += [convolution, nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, *([pool] if pool else []))
