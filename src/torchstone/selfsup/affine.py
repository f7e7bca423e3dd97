"""Random affine maps: turn, move, zoom, shear."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.selfsup.inputs import check_floats
from torchstone.selfsup.sampling import Fill, check_fill, resample


@dataclass(frozen=True)
class RandomAffine:
    r"""Random affine maps about the centre of the image, and the six numbers that name each.

    .. math:: A = z \begin{pmatrix}\cos\alpha & -\sin(\alpha + \varphi)\\ \sin\alpha & \cos(\alpha + \varphi)
              \end{pmatrix}, \qquad u \mapsto A (u - u_0) + u_0 + s

    A draw is t = (cos α, sin α, s right, s down, z, φ), the angles in radians, α clockwise on the screen, and s in
    fractions of the width and height. Each is uniform in its range. The target is (cos α, sin α), then the other four
    with their ranges mapped to [-1, 1]; a range without width gives 0. For the default ranges a constant 0 has the mean
    squared error (½ + ½ + 4·⅓) / 6 = 0.389.

    Args:
        degrees: α lies in [-degrees, degrees].
        translate: s lies in [-translate, translate], along both axes.
        scale: the least and the largest zoom z.
        shear: φ lies in [-shear, shear], in degrees.
        fill: what lies outside of the image, see :func:`resample`.

    Raises:
        ValueError: a range is negative, reversed or too wide.

    >>> transform = RandomAffine(degrees=30)
    >>> t = transform.sample(5, torch.Generator().manual_seed(0))
    >>> transform.apply(torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1)), t).shape
    torch.Size([5, 3, 32, 32])
    >>> transform.target(t).abs().max() <= 1
    tensor(True)

    Paper: Zhang, Qi, Wang, Luo 2019, arXiv:1901.04596, section 4.1 and the released code.
    Differs from the paper: moves are not rounded to whole pixels; the centre is that of the image, not half a pixel
        beside it; what lies outside is the image's mean, not grey.
    """

    degrees: float = 180.0
    translate: float = 0.2
    scale: tuple[float, float] = (0.7, 1.3)
    shear: float = 30.0
    fill: Fill = "mean"

    def __post_init__(self) -> None:
        for name, most in (("degrees", 180), ("translate", 1), ("shear", 89)):
            if not 0 <= getattr(self, name) <= most:
                raise ValueError(f"`{name}` must lie between 0 and {most}, but is {getattr(self, name)}.")
        if not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise ValueError(f"`scale` must be the least and the largest zoom, both positive, but is {self.scale}.")
        check_fill(self.fill)

    @property
    def head(self) -> str:
        """The end of the decoder in the released code."""
        return "tanh"

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 6"]:
        """Draw n maps t."""
        alpha, *rest = 2 * torch.rand(5, n, generator=generator) - 1
        alpha = math.radians(self.degrees) * alpha
        return self.from_target(torch.stack([alpha.cos(), alpha.sin(), *rest], dim=1))

    def apply(self, images: Float[Tensor, "n c h w"], t: Float[Tensor, "n 6"]) -> Float[Tensor, "n c h w"]:
        """Each image moved by its map; angles and zoom are true in pixels, also where an image is not square."""
        check_floats(images)
        height, width = images.shape[2:]
        return resample(images, self.matrix(t.to(images.device), aspect=width / height), fill=self.fill)

    def target(self, t: Float[Tensor, "n 6"]) -> Float[Tensor, "n 6"]:
        """The six numbers to predict, in [-1, 1]."""
        middle, reach = self._ranges(t)
        return (t - middle) / torch.where(reach > 0, reach, 1.0)

    def from_target(self, y: Float[Tensor, "n 6"]) -> Float[Tensor, "n 6"]:
        """The maps that these numbers name; beyond the ranges of s, z and φ their ends count."""
        middle, reach = self._ranges(y)
        return middle + reach * torch.cat([y[:, :2], y[:, 2:].clamp(-1, 1)], dim=1)

    def matrix(self, t: Float[Tensor, "n 6"], *, aspect: float = 1.0) -> Float[Tensor, "n 3 3"]:
        """The matrices from new positions to old ones (:func:`resample`) for images of ``aspect`` width / height.

        Of a prediction, (cos α, sin α) is used at the length that it has.
        """
        c, s, right, down, zoom, phi = t.unbind(1)
        tangent, secant = phi.tan() / zoom, 1 / (phi.cos() * zoom)
        across = torch.stack([c / zoom - s * tangent, (s / zoom + c * tangent) / aspect], dim=1)
        along = torch.stack([-s * secant * aspect, c * secant], dim=1)
        inverse = torch.stack([across, along], dim=1)  # (n, 2, 2)
        from_centre = 0.5 + torch.stack([right, down], dim=1)[:, :, None]
        rows = torch.cat([inverse, 0.5 - inverse @ from_centre], dim=2)
        last = rows.new_tensor([0.0, 0.0, 1.0]).expand(len(rows), 1, 3)
        return torch.cat([rows, last], dim=1)

    def _ranges(self, like: Tensor) -> tuple[Float[Tensor, " 6"], Float[Tensor, " 6"]]:
        """The middle of each number's range, and how far it reaches to both sides."""
        low, high = self.scale
        reach = [1.0, 1.0, self.translate, self.translate, (high - low) / 2, math.radians(self.shear)]
        return like.new_tensor([0.0, 0.0, 0.0, 0.0, (low + high) / 2, 0.0]), like.new_tensor(reach)
