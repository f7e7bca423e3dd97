"""Random Fourier features: coordinates as waves, so that a network need not make high frequencies itself."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn


class FourierFeatures(nn.Module):
    r"""Map coordinates to cosines and sines of random frequencies; fixed, with nothing to train.

    .. math:: \gamma(v) = [\cos 2\pi B v, \; \sin 2\pi B v], \qquad B_{ij} \sim N(0, s^2)

    Put it before a network for coordinates: ``nn.Sequential(FourierFeatures(2, seed=0), nn.Linear(512, 256), ...)``.
    The kernel that the network then starts from is stationary, with a width set by ``scale``: too small a scale blurs,
    too large a one gives noise between the samples. Choose it on held-out points.

    Args:
        d: number of coordinates.
        m: number of frequencies, rows of :math:`B`; the output has 2m features.
        scale: :math:`s`, in cycles per unit of the coordinates: their own scale matters.
        seed: seed of :math:`B`; the global generators are not used.

    Attributes:
        frequencies: :math:`B`, a buffer (m, d): saved with the network, moved with it, not trained.

    Raises:
        ValueError: ``d`` or ``m`` below 1, or a ``scale`` that is not positive and finite; when called: another number
            of coordinates.
        TypeError: when called: coordinates that are not floating-point numbers.

    Example:
        >>> features = FourierFeatures(2, m=3, seed=0)
        >>> features(torch.zeros(4, 2)).shape, features(torch.zeros(1, 2))
        (torch.Size([4, 6]), tensor([[1., 1., 1., 0., 0., 0.]]))

    Paper: Tancik et al. 2020, Fourier Features Let Networks Learn High Frequency Functions in Low Dimensional Domains,
        arXiv:2006.10739, section 6 ("Gaussian").
    Differs from the paper: nothing.
    """

    frequencies: Tensor

    def __init__(self, d: int, m: int = 256, scale: float = 10.0, *, seed: int) -> None:
        super().__init__()
        if min(d, m) < 1:
            raise ValueError(f"d and m must be 1 or more, but d={d} and m={m}.")
        if not 0 < scale < math.inf:
            raise ValueError(f"scale must be positive and finite, but it is {scale}.")
        drawn = torch.randn(m, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        self.register_buffer("frequencies", (scale * drawn).to(torch.get_default_dtype()))

    def forward(self, v: Float[Tensor, "*b d"]) -> Float[Tensor, "*b 2m"]:
        """The features of each point; dtype and device as those of ``v``.

        Phases are computed in float32 at least, under autocast, too: half precision would lose whole turns of them.
        """
        d = self.frequencies.shape[1]
        if not v.is_floating_point():
            raise TypeError(f"v must be a tensor of floating-point coordinates, but its dtype is {v.dtype}.")
        if v.ndim == 0 or v.shape[-1] != d:
            raise ValueError(f"v must have {d} coordinates along its last axis, but its shape is {tuple(v.shape)}.")
        exact = torch.promote_types(v.dtype, torch.float32)
        with torch.autocast(v.device.type, enabled=False):
            turns = 2 * math.pi * v.to(exact) @ self.frequencies.to(v.device, exact).T
            return torch.cat([turns.cos(), turns.sin()], -1).to(v.dtype)

    def extra_repr(self) -> str:
        """What ``print`` shows."""
        m, d = self.frequencies.shape
        return f"d={d}, m={m}"
