"""Random changes of whole batches of images: affine jitter, flips, noise. One draw per image, no loop over images."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from torchstone.data.batches import Augment


def affine_jitter(
    *, degrees: float = 10.0, scale: float = 0.1, shear: float = 10.0, shift: float = 0.07, noise: float = 0.05
) -> Augment:
    r"""A random affine map of each image, then noise: :math:`y(u) = x(A^{-1}(u - s)) + \sigma\epsilon`.

    :math:`A = z\,R(\alpha)\begin{pmatrix}1 & \tan\beta\\0 & 1\end{pmatrix}` turns, shears and zooms about the image's
    centre, :math:`s` moves it. Each image has its own draw, uniform in the ranges below; what comes from outside is 0
    (black), and results are clamped to [0, 1].

    Args:
        degrees: largest turn, :math:`|\alpha|`, in degrees.
        scale: zoom :math:`z` lies in [1 - scale, 1 + scale].
        shear: largest shear angle, :math:`|\beta|`, in degrees.
        shift: largest :math:`|s|` along each axis, as a fraction of the image's side.
        noise: standard deviation :math:`\sigma` of the noise, in units of the full range.

    Returns:
        A function of (images (b, c, h, w) in [0, 1], generator) that returns images of the same shape and dtype.

    Raises:
        ValueError: a range is negative or too wide; from the function, images outside [0, 1].

    Example:
        >>> augment = affine_jitter(degrees=15, noise=0)
        >>> x = torch.rand(8, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        >>> augment(x, torch.Generator().manual_seed(1)).shape
        torch.Size([8, 1, 28, 28])
    """
    _check(degrees=(degrees, 180), scale=(scale, 0.99), shear=(shear, 89), shift=(shift, 1), noise=(noise, math.inf))

    def augment(x: Float[Tensor, "b c h w"], generator: torch.Generator) -> Float[Tensor, "b c h w"]:
        _check_images(x)
        _check_unit(x)
        turn, slant, zoom, right, down = _uniform(len(x), 5, generator)
        matrix = _affine(math.radians(degrees) * turn, math.radians(shear) * slant, 1 + scale * zoom)
        warped = warp(x, matrix, shift * torch.stack([right, down], dim=1))
        return _with_noise(warped, noise, generator)

    return augment


def random_flip() -> Augment:
    """Mirror each image left to right with probability one half.

    Returns:
        A function of (images (b, c, h, w), generator) that returns images of the same shape and dtype.

    Example:
        >>> x = torch.arange(4.0).expand(100, 1, 1, 4)
        >>> random_flip()(x, torch.Generator().manual_seed(0)).unique(dim=0).flatten().tolist()
        [0.0, 1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 0.0]
    """

    def augment(x: Float[Tensor, "b c h w"], generator: torch.Generator) -> Float[Tensor, "b c h w"]:
        _check_images(x)
        heads: Bool[Tensor, " b"] = torch.rand(len(x), generator=generator) < 0.5
        return torch.where(heads.to(x.device)[:, None, None, None], x.flip(-1), x)

    return augment


def compose(*augments: Augment) -> Augment:
    """One change after another, all drawing from the same generator.

    Args:
        augments: the changes, first to last; none of them gives back the images as they are.

    Returns:
        A function of (images (b, c, h, w), generator).

    Example:
        >>> augment = compose(random_flip(), affine_jitter())
        >>> augment(torch.zeros(2, 3, 32, 32), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3, 32, 32])
    """

    def augment(x: Float[Tensor, "b c h w"], generator: torch.Generator) -> Float[Tensor, "b c h w"]:
        for change in augments:
            x = change(x, generator)
        return x

    return augment


def warp(
    x: Float[Tensor, "b c h w"], matrix: Float[Tensor, "b 2 2"], shift: Float[Tensor, "b 2"]
) -> Float[Tensor, "b c h w"]:
    """Move the content of each image by the affine map u -> matrix u + shift, with bilinear interpolation.

    Args:
        x: images (b, c, h, w).
        matrix: (b, 2, 2), acts on (right, down) coordinates in pixels about the image's centre.
        shift: (b, 2), right and down, as fractions of the image's width and height.

    Returns:
        The moved images (b, c, h, w); what comes from outside is 0.

    Raises:
        ValueError: ``x`` is not a batch of floating-point images.

    Example:
        >>> x = torch.eye(3).expand(1, 1, 3, 3)
        >>> warp(x, torch.eye(2)[None], torch.tensor([[1 / 3, 0.0]]))[0, 0].round()
        tensor([[0., 1., 0.],
                [0., 0., 1.],
                [0., 0., 0.]])
    """
    _check_images(x)
    fine = x.to(torch.promote_types(x.dtype, torch.float32))  # half precision cannot name the pixels of a large image
    height, width = x.shape[2:]
    units = fine.new_tensor([width / 2, height / 2])  # pixels in a unit of the sampling grid, which spans [-1, 1]
    inverse = torch.linalg.inv(matrix.to(fine)) * units / units[:, None]
    sampling = torch.cat([inverse, inverse @ (-2 * shift.to(fine))[:, :, None]], dim=2)  # (b, 2, 3)
    grid = affine_grid(sampling, list(x.shape), align_corners=False)
    return grid_sample(fine, grid, align_corners=False).to(x.dtype)


def _affine(turn: Float[Tensor, " b"], slant: Float[Tensor, " b"], zoom: Float[Tensor, " b"]) -> Float[Tensor, "b 2 2"]:
    cosine, sine, tangent = turn.cos(), turn.sin(), slant.tan()
    rows = [cosine, cosine * tangent - sine, sine, sine * tangent + cosine]
    return torch.stack(rows, dim=1).view(-1, 2, 2) * zoom[:, None, None]


def _uniform(b: int, draws: int, generator: torch.Generator) -> Float[Tensor, "draws b"]:
    """Numbers in [-1, 1)."""
    return 2 * torch.rand(draws, b, generator=generator) - 1


def _with_noise(x: Float[Tensor, "b c h w"], noise: float, generator: torch.Generator) -> Float[Tensor, "b c h w"]:
    if noise == 0:
        return x.clamp(0, 1)
    return (x + noise * torch.randn(x.shape, generator=generator).to(x)).clamp(0, 1)


def _check_images(x: Tensor) -> None:
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(
            f"`x` must be a floating-point batch of images (b, c, h, w), but is {x.dtype} of shape {tuple(x.shape)}."
        )


def _check_unit(x: Tensor) -> None:
    if not x.numel() or x.is_meta:
        return  # there are no values
    least, most = x.aminmax()
    if not (least >= 0 and most <= 1):
        raise ValueError(
            f"`x` must lie in [0, 1], where the jitter clamps its results, but reaches from {least:g} to {most:g}. "
            "Divide bytes by 255, or jitter before you normalise."
        )


def _check(**ranges: tuple[float, float]) -> None:
    for name, (value, most) in ranges.items():
        if not 0 <= value <= most:
            raise ValueError(f"`{name}` must lie between 0 and {most}, but is {value}.")
