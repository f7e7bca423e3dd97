"""Conv4: the four-block encoder of matching networks, prototypical networks and MAML."""

from jaxtyping import Float
from torch import Tensor, nn

from torchstone.nets.seeded import check_images, kaiming, seeded

BLOCKS = 4


class Conv4(nn.Module):
    r"""Four times :math:`h \leftarrow \mathrm{maxpool}_2(\mathrm{ReLU}(\mathrm{BN}(W * h)))`, then one row an image.

    The map of the last block is flattened: ``width`` features for images of 16 to 31 pixels, 4 · ``width`` up to 47,
    25 · ``width`` for 84.

    Args:
        width: channels of every 3×3 convolution (no bias, padded).
        channels: channels of the images: 1 for grey, 3 for colour.
        seed: of the initial weights, He's; the global generators stay as they are.

    Raises:
        ValueError: ``width`` or ``channels`` is below 1; from the forward pass, images of another shape.

    Example:
        >>> import torch
        >>> Conv4(32, channels=1, seed=0)(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 32])

    Paper: Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra 2016, arXiv:1606.04080, section 4.
    Differs from the paper: no bias before a batch normalisation; He's initialisation.
    """

    def __init__(self, width: int = 64, *, channels: int = 3, seed: int) -> None:
        if width < 1 or channels < 1:
            raise ValueError(f"`width` and `channels` must be at least 1, but are {width} and {channels}.")
        super().__init__()
        with seeded(seed):
            self.blocks = nn.Sequential(*(block(width if i else channels, width) for i in range(BLOCKS)))
            kaiming(self)
        self.channels = channels

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """Features of a batch of images with sides of 16 pixels or more."""
        check_images(x, self.channels, 2**BLOCKS)
        maps: Tensor = self.blocks(x)
        return maps.flatten(1)


def block(before: int, after: int) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU, pooling."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)
    )
