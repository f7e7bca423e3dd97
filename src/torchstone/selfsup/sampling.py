"""Reading images at other places: by 3×3 matrices that lead from the new image to the old one."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from torchstone.selfsup.inputs import check_floats

Fill = float | Literal["mean"]
OUTSIDE = 3.0  # in units of the image's half side: no pixel of the image reaches there


def resample(
    images: Float[Tensor, "b c h w"], matrix: Float[Tensor, "b 3 3"], *, fill: Fill = "mean"
) -> Float[Tensor, "b c h w"]:
    r"""Move the content of each image by a homography, with bilinear interpolation: :math:`y(u) = x(M u)`.

    .. math:: (a_1, a_2, a_3)^\top = M\,(u_1, u_2, 1)^\top, \qquad M u = (a_1 / a_3,\; a_2 / a_3)

    Positions :math:`u` = (right, down) are fractions of the width and height: (0, 0) is the outer corner of the top
    left pixel, (1, 1) that of the bottom right one. :math:`M` leads from the new image to the old one, as in Pillow
    and ``grid_sample``. The result is differentiable in both arguments.

    Args:
        images: :math:`x`, (b, c, h, w).
        matrix: :math:`M`, (b, 3, 3), one for each image; those of affine maps end in the row (0, 0, 1).
        fill: what lies outside: a number, or ``"mean"`` for the mean of each image and channel.

    Returns:
        The moved images (b, c, h, w). Positions with :math:`a_3 \le 0`, which lie behind the viewer, are outside. Where
        a matrix is not finite, neither is its image.

    Raises:
        ValueError: the images are not floating point, or there is not one matrix for each.

    >>> half = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # right becomes up
    >>> resample(torch.arange(4.0).view(1, 1, 2, 2), half[None])[0, 0].round()
    tensor([[1., 3.],
            [0., 2.]])
    """
    check_floats(images)
    if matrix.shape != (len(images), 3, 3):
        raise ValueError(
            f"`matrix` must have shape ({len(images)}, 3, 3), one for each image, but has {tuple(matrix.shape)}."
        )
    fine = images.to(torch.promote_types(images.dtype, torch.float32))  # half precision cannot name all pixels
    ground = fine.mean((2, 3), keepdim=True) if fill == "mean" else fine.new_tensor(fill)
    grid = _positions(matrix.to(fine), *images.shape[2:])
    moved = grid_sample(fine - ground, grid, align_corners=False) + ground
    known = matrix.isfinite().all(2).all(1)[:, None, None, None]
    return torch.where(known, moved, torch.nan).to(images.dtype)


def check_fill(fill: Fill) -> None:
    """Refuse a fill that is neither a finite number nor ``"mean"``."""
    if fill != "mean" and (isinstance(fill, str) or not math.isfinite(fill)):
        raise ValueError(f"`fill` must be a finite number or 'mean', but is {fill!r}.")


def _positions(matrix: Float[Tensor, "b 3 3"], height: int, width: int) -> Float[Tensor, "b h w 2"]:
    """Where each new pixel is read, in the units of ``grid_sample``: the old image spans [-1, 1]."""
    down = (torch.arange(height).to(matrix) + 0.5) / height
    right = (torch.arange(width).to(matrix) + 0.5) / width
    u = torch.stack([right.expand(height, width), down[:, None].expand(height, width)], dim=2)
    ones = torch.ones_like(u[..., :1])
    a = torch.cat([u, ones], dim=2).view(1, -1, 3) @ matrix.mT  # (b, h·w, 3)
    before = a[..., 2:] > torch.finfo(a.dtype).eps
    read = 2 * a[..., :2] / torch.where(before, a[..., 2:], 1.0) - 1
    return torch.where(before, read, OUTSIDE).view(-1, height, width, 2)
