"""ResNet-12 with DropBlock: the wide residual encoder that few-shot learning settled on."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from torchstone.nets.drop_block import DropBlock
from torchstone.nets.seeded import check_images, kaiming, seeded

WIDTHS = (64, 160, 320, 640)
SLOPE = 0.1


class ResNet12(nn.Module):
    r"""Four residual blocks of three convolutions and a pooling each, then the mean over the map.

    .. math:: h \leftarrow \mathrm{drop}\big(\mathrm{maxpool}_2(\sigma(F(h) + \mathrm{BN}(W_s * h)))\big),
              \qquad \sigma(a) = \max(a, 0.1 a)

    with :math:`F` three 3×3 convolutions, each with batch normalisation and, but for the last, :math:`\sigma`; drop is
    dropout in the first half of the blocks and :class:`DropBlock` in the others. 12,424,320 parameters for colour.

    Args:
        channels: channels of the images: 1 for grey, 3 for colour.
        widths: channels of the blocks; narrower ones make a network for the CPU.
        drop: rate of dropout and DropBlock, in [0, 1); 0 for none.
        ramp: batches over which DropBlock grows to its rate.
        seed: of the initial weights, He's; the global generators stay as they are.

    Raises:
        ValueError: a number is out of range; from the forward pass, images of another shape.

    Example:
        >>> import torch
        >>> net = ResNet12(widths=(8, 16, 24, 32), seed=0)
        >>> net(torch.zeros(2, 3, 32, 32)).shape
        torch.Size([2, 32])

    Paper: Tian, Wang, Krishnan, Tenenbaum, Isola 2020, arXiv:2003.11539, section 4.1; the block is that of Lee, Maji,
        Ravichandran, Soatto 2019, arXiv:1904.03758.
    Differs from the paper: the side of DropBlock's squares follows the map (5 for 84-pixel images, 2 for 32-pixel ones,
        as there), so that images of any size will do.
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        widths: Sequence[int] = WIDTHS,
        drop: float = 0.1,
        ramp: int = 40_000,
        seed: int,
    ) -> None:
        if not widths or min(channels, *widths) < 1:
            raise ValueError(f"`channels` and `widths` must be at least 1, but are {channels} and {tuple(widths)}.")
        super().__init__()
        drops = [nn.Dropout(drop) if 2 * i < len(widths) else DropBlock(drop, ramp=ramp) for i in range(len(widths))]
        with seeded(seed):
            self.blocks = nn.Sequential(*map(Block, [channels, *widths[:-1]], widths, drops))
            kaiming(self)
        self.channels, self.smallest_side = channels, 2 ** len(widths)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features of a batch of images with sides of 16 pixels or more (four blocks; 2 to the number of blocks)."""
        check_images(x, self.channels, self.smallest_side)
        maps: Tensor = self.blocks(x)
        return maps.mean((2, 3))


class Block(nn.Module):
    """Three convolutions beside a shortcut, pooling, and what is dropped."""

    def __init__(self, before: int, after: int, drop: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *convolution(before, after, 3),
            nn.LeakyReLU(SLOPE),
            *convolution(after, after, 3),
            nn.LeakyReLU(SLOPE),
            *convolution(after, after, 3),
        )
        self.shortcut = nn.Sequential(*convolution(before, after, 1))
        self.end = nn.Sequential(nn.LeakyReLU(SLOPE), nn.MaxPool2d(2), drop)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d h2 w2"]:
        """Maps of half the side."""
        maps: Tensor = self.end(self.body(x) + self.shortcut(x))
        return maps


def convolution(before: int, after: int, kernel: int) -> tuple[nn.Module, nn.Module]:
    """A convolution that keeps the size of the map, without bias, and its normalisation."""
    return nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(after)
