"""What a transformation must offer to be predicted: it can be drawn, applied and named by numbers."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Shaped
from torch import Tensor


@runtime_checkable
class Transformation(Protocol):
    """A family of random changes of images; yours may be any object with these three methods.

    >>> class Brightness:
    ...     def sample(self, n, generator):
    ...         return torch.rand(n, 1, generator=generator)
    ...
    ...     def apply(self, images, t):
    ...         return images * t[:, :, None, None]
    ...
    ...     def target(self, t):
    ...         return 2 * t - 1
    >>> isinstance(Brightness(), Transformation)
    True
    """

    def sample(self, n: int, generator: torch.Generator) -> Shaped[Tensor, "n ..."]:
        """Draw n changes t, on the CPU, from ``generator`` and nothing else."""
        ...

    def apply(self, images: Float[Tensor, "n c h w"], t: Shaped[Tensor, "n ..."]) -> Float[Tensor, "n c h w"]:
        """Each image changed by its t, in the same shape."""
        ...

    def target(self, t: Shaped[Tensor, "n ..."]) -> Float[Tensor, "n p"]:
        """The numbers that are predicted, best with mean 0 and a spread of about 1."""
        ...


@runtime_checkable
class Invertible(Transformation, Protocol):
    """A transformation that a prediction can be turned back into, as the loss on images needs it.

    ``apply`` must then be differentiable in t.
    """

    def from_target(self, y: Float[Tensor, "n p"]) -> Float[Tensor, "n ..."]:
        """The t whose target is y; differentiable."""
        ...


@runtime_checkable
class Parametric(Invertible, Protocol):
    """A transformation that is a 3×3 matrix, as the loss on matrices needs it."""

    def matrix(self, t: Float[Tensor, "n ..."]) -> Float[Tensor, "n 3 3"]:
        """The matrices, from new positions to old ones, see :func:`resample`; differentiable."""
        ...
