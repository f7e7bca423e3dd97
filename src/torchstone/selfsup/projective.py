"""Random projective maps: the corners of the image are scaled, turned and shifted."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from torchstone.selfsup.inputs import check_floats
from torchstone.selfsup.sampling import Fill, check_fill, resample

CORNERS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))  # clockwise from the top left, as (right, down)
MEAN = (0.0, 0.0, 0.5, 0.0, 0.0, 0.5, 0.0, 0.0)
SPREAD = (1.0, 1.0, 0.625, 1.0, 1.0, 0.625, 0.48, 0.48)  # the released code's for CIFAR, in fractions of the side
LEAST = 0.1  # of the depth over the image, relative to its largest
TRIES = 100


@dataclass(frozen=True)
class RandomProjective:
    r"""Random homographies, and the eight coefficients that name each.

    .. math:: u \mapsto \left(\frac{h_1 u_1 + h_2 u_2 + h_3}{h_7 u_1 + h_8 u_2 + 1},\;
                              \frac{h_4 u_1 + h_5 u_2 + h_6}{h_7 u_1 + h_8 u_2 + 1}\right)

    The corners of the image are scaled about its centre by one factor, turned by a multiple of 90° (as
    ``torch.rot90``), and shifted, each coordinate by itself; all uniform. The draw t = (h1, ..., h8) leads from the new
    places of the corners back to the corners. The target is t, less its middle, over its rough spread.

    A draw that folds the image, or whose depth (the denominator) is anywhere less than a tenth of what it is elsewhere
    in the image, is drawn again.

    Args:
        shift: largest shift of a coordinate of a corner, in fractions of the side.
        scale: the least and the largest factor.
        rot90: whether to turn.
        fill: what lies outside of the image, see :func:`resample`.

    Raises:
        ValueError: a range is negative or reversed; from ``sample``, hardly any draw is usable.

    >>> transform = RandomProjective()
    >>> t = transform.sample(5, torch.Generator().manual_seed(0))
    >>> transform.apply(torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(1)), t).shape
    torch.Size([5, 3, 32, 32])

    Paper: Zhang, Qi, Wang, Luo 2019, arXiv:1901.04596, section 4.1 and the released code.
    Differs from the paper: shifts are not rounded to whole pixels; coefficients are for positions in fractions of the
        side, with the released code's middle and spread for CIFAR-10 expressed in them, for images of any size; what
        lies outside is the image's mean, not grey.
    """

    shift: float = 0.125
    scale: tuple[float, float] = (0.8, 1.2)
    rot90: bool = True
    fill: Fill = "mean"

    def __post_init__(self) -> None:
        if not 0 <= self.shift < math.inf:
            raise ValueError(f"`shift` must be a fraction of the side, 0 or more, but is {self.shift}.")
        if not 0 < self.scale[0] <= self.scale[1] < math.inf:
            raise ValueError(f"`scale` must be the least and the largest factor, both positive, but is {self.scale}.")
        check_fill(self.fill)

    @property
    def head(self) -> str:
        """The end of the decoder in the released code."""
        return "linear"

    def sample(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 8"]:
        """Draw n maps t."""
        t, usable = self._draw(n, generator)
        for _ in range(TRIES):
            again = ~usable
            if not again.any():
                return t
            t[again], usable[again] = self._draw(int(again.sum()), generator)
        raise ValueError(
            f"Of the homographies with `shift` {self.shift} and `scale` {self.scale} hardly any leaves the image "
            "unfolded. Give a smaller shift."
        )

    def apply(self, images: Float[Tensor, "n c h w"], t: Float[Tensor, "n 8"]) -> Float[Tensor, "n c h w"]:
        """Each image moved by its map; where an image is not square, a quarter turn also stretches it."""
        check_floats(images)
        return resample(images, self.matrix(t.to(images.device)), fill=self.fill)

    def target(self, t: Float[Tensor, "n 8"]) -> Float[Tensor, "n 8"]:
        """The eight numbers to predict."""
        return (t - t.new_tensor(MEAN)) / t.new_tensor(SPREAD)

    def from_target(self, y: Float[Tensor, "n 8"]) -> Float[Tensor, "n 8"]:
        """The maps that these numbers name."""
        return y.new_tensor(MEAN) + y * y.new_tensor(SPREAD)

    def matrix(self, t: Float[Tensor, "n 8"]) -> Float[Tensor, "n 3 3"]:
        """The matrices from new positions to old ones, with 1 in the last place (:func:`resample`)."""
        return torch.cat([t, torch.ones_like(t[:, :1])], dim=1).view(-1, 3, 3)

    def corners(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 4 2"]:
        """Draw where n times the four corners (clockwise from the top left) go."""
        low, high = self.scale
        scale, *shifts = torch.rand(9, n, generator=generator)
        quarter = torch.randint(4 if self.rot90 else 1, (n, 1), generator=generator)
        place = (torch.tensor(CORNERS) - 0.5)[(torch.arange(4) - quarter) % 4]  # (n, 4, 2)
        moved = (2 * torch.stack(shifts, dim=1).view(n, 4, 2) - 1) * self.shift
        factor: Tensor = low + (high - low) * scale
        return 0.5 + factor[:, None, None] * place + moved

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Float[Tensor, "n 8"], Bool[Tensor, " n"]]:
        corners = self.corners(n, generator)
        t = _solve(corners, torch.tensor(CORNERS).expand(n, 4, 2)).to(corners)
        return t, convex(corners) & (depths(t).amin(1) > LEAST * depths(t).amax(1))


def homography(source: Float[Tensor, "n 4 2"], goal: Float[Tensor, "n 4 2"]) -> Float[Tensor, "n 3 3"]:
    """The matrix with 1 in the last place whose homography leads four points to four points.

    Args:
        source: (n, 4, 2), no three of them on a line.
        goal: (n, 4, 2), where each shall go.

    Returns:
        The matrices (n, 3, 3), solved in float64, in the precision of ``source``.

    Raises:
        ValueError: a shape is another, or no such matrix exists.

    >>> square = torch.tensor(CORNERS)[None]
    >>> homography(square, 2 * square).round()
    tensor([[[2., 0., 0.],
             [0., 2., 0.],
             [0., 0., 1.]]])
    """
    if source.shape != goal.shape or source.shape[1:] != (4, 2):
        raise ValueError(
            f"`source` and `goal` must both be (n, 4, 2), but are {tuple(source.shape)} and {tuple(goal.shape)}."
        )
    h = _solve(source, goal)
    if not h.isfinite().all():
        raise ValueError(
            "No homography leads all of `source` to `goal`: among four points three lie on a line, or the origin goes "
            "to infinity. Move the points."
        )
    return torch.cat([h, torch.ones_like(h[:, :1])], dim=1).view(-1, 3, 3).to(source)


def convex(corners: Float[Tensor, "n 4 2"]) -> Bool[Tensor, " n"]:
    """Whether four points, in this order, go clockwise around a convex shape."""
    edges = corners.roll(-1, 1) - corners
    after = edges.roll(-1, 1)
    return (edges[..., 0] * after[..., 1] - edges[..., 1] * after[..., 0] > 0).all(1)


def depths(t: Float[Tensor, "n 8"]) -> Float[Tensor, "n 4"]:
    """The denominator at the corners of the new image; between them it lies between these values."""
    return 1 + t[:, 6:] @ t.new_tensor(CORNERS).mT


def _solve(source: Float[Tensor, "n 4 2"], goal: Float[Tensor, "n 4 2"]) -> Float[Tensor, "n 8"]:
    """The eight coefficients in float64; not finite where there are none."""
    u, v = source.double(), goal.double()
    one, zero = torch.ones_like(u[..., :1]), torch.zeros_like(u)
    first = torch.cat([u, one, zero, one * 0, -v[..., :1] * u], dim=2)  # (n, 4, 8)
    second = torch.cat([zero, one * 0, u, one, -v[..., 1:] * u], dim=2)
    solved, failed = torch.linalg.solve_ex(torch.cat([first, second], dim=1), torch.cat([v[..., 0], v[..., 1]], dim=1))
    return torch.where((failed != 0)[:, None], torch.nan, solved)
