"""Closed curves in the plane, on which a low frequency of the plane can be a high one along the curve."""

import math
from numbers import Integral

import torch
from jaxtyping import Float
from torch import Tensor


def petal_manifold(z: Float[Tensor, "*b"], petals: int) -> Float[Tensor, "*b 2"]:
    r"""A flower with ``petals`` petals: a circle of radius 1 whose radius swings between 1/2 and 3/2.

    .. math:: \gamma_L(z) = \bigl(1 + \tfrac12 \sin 2\pi L z\bigr) \, (\cos 2\pi z, \; \sin 2\pi z)

    A network sees :math:`\gamma_L(z)` and not z. The function of the plane "how far from the centre" is slow, yet along
    the curve it has frequency L.

    Args:
        z: places along the curve, once around in [0, 1); the curve repeats outside it.
        petals: :math:`L`, a whole number; 0 is the circle.

    Returns:
        Points of the plane, in the dtype and on the device of ``z``; computed in float64. NaN where z is not finite.

    Raises:
        TypeError: ``z`` is not of floating point, or ``petals`` is not whole: the curve would not close.
        ValueError: ``petals`` is negative.

    Example:
        >>> z = torch.tensor([0.0, 0.25])
        >>> petal_manifold(z, petals=1).round(decimals=4)
        tensor([[1.0000, 0.0000],
                [0.0000, 1.5000]])

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 4.
    Differs from the paper: nothing.
    """
    if not z.is_floating_point():
        raise TypeError(f"z must be a tensor of floating-point places, but its dtype is {z.dtype}. Try z.float().")
    if not isinstance(petals, Integral) or isinstance(petals, bool):
        raise TypeError(f"petals must be a whole number, or the curve would not close, but it is {petals!r}.")
    if petals < 0:
        raise ValueError(f"petals must be 0 (a circle) or more, but it is {petals}.")
    turn = 2 * math.pi * z.double()
    radius = 1 + 0.5 * torch.sin(petals * turn)
    return torch.stack([radius * turn.cos(), radius * turn.sin()], dim=-1).to(z.dtype)
