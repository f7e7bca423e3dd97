"""What self-supervised learning asks of its images, and how an encoder is given them."""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from torchstone.data.image_set import unit_floats

Images = Shaped[Tensor, "n c h w"] | npt.NDArray[Any]


def as_images(images: Images) -> Shaped[Tensor, "n c h w"]:
    """A tensor or array of images as a tensor, uint8 or floating point and finite.

    Raises:
        TypeError: it is neither, or of another type of numbers.
        ValueError: it is not (n, c, h, w), is empty, or has NaN or infinite pixels.
    """
    if not isinstance(images, Tensor | np.ndarray):
        raise TypeError(f"`images` is a {type(images).__name__}, but a tensor or array (n, c, h, w) is needed.")
    x = images if isinstance(images, Tensor) else torch.from_numpy(np.array(images))
    if x.dtype != torch.uint8 and not x.is_floating_point():
        raise TypeError(f"`images` must be uint8 (0 to 255) or floating point, but is {x.dtype}.")
    if x.ndim != 4 or not x.numel():
        raise ValueError(f"`images` must be one or more images (n, c, h, w), but has shape {tuple(x.shape)}.")
    if x.is_floating_point() and not x.isfinite().all():
        raise ValueError("`images` has NaN or infinite pixels. Mend or leave out these images.")
    return x


def check_floats(images: Tensor) -> None:
    """Refuse what is no batch of floating-point images."""
    if images.ndim != 4 or not images.is_floating_point():
        raise ValueError(
            f"`images` must be floating-point images (b, c, h, w), but is {images.dtype} of shape "
            f"{tuple(images.shape)}. Divide bytes by 255; give one image a batch of its own by images[None]."
        )


def for_encoder(images: Shaped[Tensor, "n c h w"], encoder: nn.Module) -> Float[Tensor, "n c h w"]:
    """Images as numbers (bytes in [0, 1]), on the device and in the precision of the encoder."""
    x = images if images.is_floating_point() else unit_floats(images)
    parameter = next(encoder.parameters(), None)
    return x if parameter is None else x.to(parameter)


def chunks(images: Shaped[Tensor, "n ..."], size: int) -> list[Shaped[Tensor, "b ..."]]:
    """All images in order, ``size`` at a time."""
    if size < 1:
        raise ValueError(f"`batch_size` must be at least 1, but is {size}.")
    return [images[start : start + size] for start in range(0, len(images), size)]
