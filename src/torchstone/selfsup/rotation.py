"""The four turns by multiples of 90°."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from torchstone.selfsup.inputs import check_floats

TURNS = 4


class Rotation90:
    """Turns by 0°, 90°, 180° and 270°, counter-clockwise as ``torch.rot90``: no interpolation, no border, no trace.

    A draw t is the number of quarter turns; the target is one of four indicators, for a loss on classes or numbers.

    >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).expand(2, 1, 2, 2)
    >>> Rotation90().apply(x, torch.tensor([0, 1]))[1, 0]
    tensor([[2., 4.],
            [1., 3.]])

    Paper: Gidaris, Singh, Komodakis 2018, arXiv:1803.07728, section 3.
    Differs from the paper: nothing.
    """

    def sample(self, n: int, generator: torch.Generator) -> Int64[Tensor, " n"]:
        """Draw n numbers of quarter turns, all four equally likely."""
        return torch.randint(TURNS, (n,), generator=generator)

    def apply(self, images: Float[Tensor, "n c h w"], t: Int64[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        """Each image turned t times.

        Raises:
            ValueError: the images are not square floating-point images, or there is not one t for each.
        """
        check_floats(images)
        if images.shape[2] != images.shape[3]:
            raise ValueError(
                f"`images` must be square to be turned by 90°, but are {images.shape[2]}×{images.shape[3]} pixels. "
                "Crop or scale them."
            )
        if t.shape != images.shape[:1]:
            raise ValueError(f"`t` must hold one turn for each of {len(images)} images, but has {tuple(t.shape)}.")
        turns = (t.to(images.device) % TURNS)[:, None, None, None]
        turned = images
        for k in range(1, TURNS):
            turned = torch.where(turns == k, images.rot90(k, dims=(2, 3)), turned)
        return turned

    def target(self, t: Int64[Tensor, " n"]) -> Float[Tensor, "n 4"]:
        """The indicators of the four turns."""
        return one_hot(t % TURNS, TURNS).float()
