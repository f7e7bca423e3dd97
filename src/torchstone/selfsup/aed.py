"""AED: auto-encoding data, what auto-encoding transformations is measured against."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone.data import Augment
from torchstone.selfsup.features import encode
from torchstone.selfsup.inputs import Images
from torchstone.selfsup.pretext import Pretext
from torchstone.selfsup.recipe import Recipe
from torchstone.training import evaluating

UPWARD = 3  # doublings of the map's side in the decoder


class AED(Pretext):
    r"""An auto-encoder, denoising if ``noise`` is positive, whose encoder is kept.

    .. math:: \min_{E, D}\; \mathbb{E}_{x, \epsilon}\; \frac{1}{c h w} \|x - D(E(x + \sigma\epsilon))\|^2,
              \qquad \epsilon \sim N(0, I)

    The decoder :math:`D` is a linear layer to a small map, then three transposed convolutions that double its side.

    Args:
        encoder: :math:`E`, from images to rows or maps (these are flattened). It is copied, not changed.
        noise: :math:`\sigma`, in units of the pixels; 0 for a plain auto-encoder.
        width: channels of the last map of the decoder; those before have 2 and 4 times as many.
        recipe: optimizer, batch size, schedule.
        augment: a random change of each batch, which is then what is reconstructed.

    Raises:
        ValueError: from ``fit``: ``noise`` is negative or ``width`` below 1.

    >>> from torchstone.nets import NIN
    >>> x = torch.rand(16, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    >>> aed = AED(NIN(6, channels=1, seed=0), width=4, recipe=Recipe(batch_size=8)).fit(x, steps=2)
    >>> aed.reconstruct(x).shape
    torch.Size([16, 1, 12, 12])

    Paper: the baseline of Zhang, Qi, Wang, Luo 2019, arXiv:1901.04596, figure 1; denoising: Vincent, Larochelle,
        Bengio, Manzagol 2008.
    Differs from the paper: which does not describe the decoder of its figure.
    """

    def __init__(
        self,
        encoder: nn.Module,
        noise: float = 0.0,
        *,
        width: int = 32,
        recipe: Recipe = Recipe(),  # noqa: B008  # frozen
        augment: Augment | None = None,
    ) -> None:
        self.encoder = encoder
        self.noise = noise
        self.width = width
        self.recipe = recipe
        self.augment = augment

    def reconstruct(self, images: Images, *, batch_size: int = 256) -> Float[Tensor, "n c h w"]:
        """What the trained network makes of these images, in evaluation mode and without noise."""
        batches = self._batches(images, batch_size)
        with evaluating(self.encoder_), evaluating(self.head_), torch.no_grad():
            return torch.cat([self.head_(encode(self.encoder_, x)) for x in batches])

    def reconstruction_error(self, images: Images, *, batch_size: int = 256) -> float:
        """The mean squared error of :meth:`reconstruct`, over all pixels."""
        x = torch.cat(self._batches(images, batch_size))
        return float((x - self.reconstruct(images, batch_size=batch_size)).square().mean())

    def _head(self, d: int, shape: tuple[int, int, int]) -> nn.Module:
        if not 0 <= self.noise < float("inf") or self.width < 1:
            raise ValueError(f"`noise` must be 0 or more and `width` 1 or more, but are {self.noise} and {self.width}.")
        return Decoder(d, shape, self.width)

    def _metrics(
        self, encoder: nn.Module, head: nn.Module, x: Float[Tensor, "b c h w"], draws: torch.Generator
    ) -> dict[str, Tensor]:
        noisy = x + self.noise * torch.randn(x.shape, generator=draws).to(x) if self.noise else x
        return {"loss": (x - head(encode(encoder, noisy))).square().mean()}


class Decoder(nn.Module):
    """From d features to images of a shape (c, h, w): a linear layer, then three doublings; the margin is cut off."""

    def __init__(self, d: int, shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        channels, height, breadth = shape
        self.shape = shape
        small = -(-height // 2**UPWARD), -(-breadth // 2**UPWARD)
        self.start = nn.Sequential(
            nn.Linear(d, 4 * width * small[0] * small[1]), nn.Unflatten(1, (4 * width, *small)), *_settled(4 * width)
        )
        self.up = nn.Sequential(
            *_doubled(4 * width, 2 * width), *_settled(2 * width), *_doubled(2 * width, width), *_settled(width)
        )
        self.end = nn.Sequential(*_doubled(width, channels))

    def forward(self, features: Float[Tensor, "b d"]) -> Float[Tensor, "b c h w"]:
        """Images of a batch of features."""
        _, height, breadth = self.shape
        images: Tensor = self.end(self.up(self.start(features)))
        return images[:, :, :height, :breadth]


def _doubled(before: int, after: int) -> list[nn.Module]:
    return [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]


def _settled(width: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(width), nn.ReLU()]
