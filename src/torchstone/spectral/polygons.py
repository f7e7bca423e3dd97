"""Exact Fourier transforms of polygons and of piecewise affine functions on them, in the plane."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from torchstone.spectral.function import ROWS, check_frequencies
from torchstone.spectral.relu_1d import TERMS, j0, j1

SMALL = 1.0  # |k| times the radius of the picture: below it the closed form loses digits, and quadrature loses none
POINTS = 8  # Gauss points a side: exact to rounding for |k| r < 1


def polygon_indicator_ft(vertices: Float[Tensor, "v 2"], k: Float[Tensor, "n 2"]) -> Complex[Tensor, " n"]:
    r"""The exact Fourier transform of the indicator of a polygon, by Stokes' theorem.

    .. math::
        \tilde 1_P(k) = \int_P e^{-ik \cdot x} dx
        = \frac{i}{|k|^2} \sum_j L_j \,(k \cdot n_j)\, e^{-ik \cdot m_j} \, \mathrm{sinc}(k \cdot e_j / 2)

    with :math:`e_j` the edges, :math:`L_j, m_j, n_j` their lengths, midpoints and outward normals, and
    sinc(t) = sin(t) / t.

    Args:
        vertices: the corners of P in order, either way round, shape (v, 2), v ≥ 3; P need not be convex.
        k: angular frequencies, radians a unit of x, shape (n, 2). Where :math:`|k|` times the radius of P is below 1,
            the integral is taken by Gauss quadrature, since there the sum cancels; it is exact to rounding, too.

    Returns:
        complex128, shape (n,), in the unit of x squared.

    Raises:
        ValueError: the shapes are wrong or a number is not finite.

    >>> square = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    >>> polygon_indicator_ft(square, torch.tensor([[0.0, 0.0], [torch.pi / 2, 0.0]])).real  # 4 sinc(k_1) sinc(k_2)
    tensor([4.0000, 2.5465], dtype=torch.float64)

    Paper: Rahaman et al. 2019, arXiv:1806.08734, Lemma 2 for d = 2.
    Differs from the paper: the closed form is worked out here.
    """
    if vertices.ndim != 2 or len(vertices) < 3 or vertices.shape[1] != 2 or not vertices.isfinite().all():
        raise ValueError(f"vertices must be finite, of shape (v, 2) with v ≥ 3, but they are {vertices!r}.")
    corners = vertices.double()
    weights, offsets = corners.new_zeros(1, 2), corners.new_ones(1)
    whole = AffinePieces(corners[None], weights, offsets)
    orientation = torch.sign(signed_areas(corners[None]))
    return orientation * whole.fourier(k, outline=Edges.around(corners[None]))


@dataclass(frozen=True)
class Edges:
    """Directed edges of polygons, the inside to the left of each.

    Args:
        start: shape (e, 2).
        end: shape (e, 2).
        piece: the polygon that each belongs to, shape (e,).
    """

    start: Float[Tensor, "e 2"]
    end: Float[Tensor, "e 2"]
    piece: Tensor

    @classmethod
    def around(cls, vertices: Float[Tensor, "p v 2"]) -> "Edges":
        """The edges of polygons whose corners go anticlockwise; edges of length 0 are left out."""
        start, end = vertices, vertices.roll(-1, dims=1)
        real = (start != end).any(2)
        piece = torch.arange(len(vertices), device=vertices.device)[:, None].expand(real.shape)
        return cls(start[real], end[real], piece[real])

    def only(self, kept: Tensor) -> "Edges":
        """Those that a mask (e,) keeps."""
        return Edges(self.start[kept], self.end[kept], self.piece[kept])

    @property
    def vector(self) -> Float[Tensor, "e 2"]:
        """From start to end."""
        return self.end - self.start

    @property
    def normal(self) -> Float[Tensor, "e 2"]:
        """The outward normal, as long as the edge."""
        x, y = self.vector.unbind(1)
        return torch.stack([y, -x], 1)

    def phases(self, k: Float[Tensor, "n 2"]) -> Float[Tensor, "n e"]:
        r""":math:`-k \cdot m` at the midpoints m."""
        return -k @ ((self.start + self.end) / 2).T


@dataclass(frozen=True, eq=False)
class AffinePieces:
    r"""A function that is :math:`W_e \cdot x + b_e` on polygon e and 0 outside of all.

    Args:
        vertices: corners, anticlockwise, shape (p, v, 2); polygons with fewer corners repeat their last.
        weights: :math:`W_e`, shape (p, 2).
        offsets: :math:`b_e`, shape (p,).
    """

    vertices: Float[Tensor, "p v 2"]
    weights: Float[Tensor, "p 2"]
    offsets: Float[Tensor, " p"]

    def fourier(self, k: Float[Tensor, "n 2"], *, outline: Edges) -> Complex[Tensor, " n"]:
        r"""The exact transform, where the function jumps at the edges ``outline`` only.

        .. math::
            \tilde f(k) = \frac{i}{|k|^2} \Big[ \oint f\, e^{-ik \cdot x} (k \cdot n)\, ds
            - \sum_e (W_e \cdot k)\, \tilde 1_{P_e}(k) \Big]
        """
        k = check_frequencies(k).to(self.vertices.device)
        if k.ndim != 2 or k.shape[1] != 2:
            raise ValueError(f"k must have shape (n, 2), one frequency a row, but its shape is {tuple(k.shape)}.")
        inner = Edges.around(self.vertices)
        inner = inner.only((self.weights[inner.piece] != 0).any(1))  # flat pieces show at the outline only
        centre = self.vertices.flatten(0, 1).mean(0)
        radius = (self.vertices - centre).norm(dim=2).max()
        small = k.norm(dim=1) * radius < SMALL
        values = torch.zeros(len(k), dtype=torch.complex128, device=k.device)
        if small.any():
            values[small] = torch.cat([self._by_quadrature(part) for part in torch.split(k[small], 4)])
        rows = max(1, TERMS // max(1, len(inner.piece)))
        large = [self._by_stokes(part, inner, outline) for part in torch.split(k[~small], rows)]
        values[~small] = torch.cat(large)
        return values

    def _by_stokes(self, k: Tensor, inner: Edges, outline: Edges) -> Tensor:
        squared = k.square().sum(1)
        total = self._outline(k, outline)
        if len(inner.piece):
            size = (k @ self.weights[inner.piece].T) * (k @ inner.normal.T) * _sinc(k, inner)  # (n, e)
            phase = inner.phases(k)
            total = total - 1j / squared * torch.complex((size * phase.cos()).sum(1), (size * phase.sin()).sum(1))
        return 1j / squared * total

    def _outline(self, k: Tensor, outline: Edges) -> Tensor:
        """∮ f e^{-ikx} (k · n) ds: on each edge f has a mean and a rise."""
        low, high = (self.at(points, outline.piece) for points in (outline.start, outline.end))
        across, phase = k @ outline.normal.T, outline.phases(k)
        cos, sin = phase.cos(), phase.sin()
        mean = across * _sinc(k, outline) * (low + high) / 2
        total = torch.complex((mean * cos).sum(1), (mean * sin).sum(1))
        if torch.equal(low, high):
            return total
        rise = across * j1(k @ outline.vector.T / 2) * (high - low) / 2
        return total + torch.complex((rise * sin).sum(1), -(rise * cos).sum(1))

    def at(self, points: Float[Tensor, "*n 2"], piece: Tensor) -> Float[Tensor, "*n"]:
        """The values at points of the polygons ``piece``."""
        return (self.weights[piece] * points).sum(-1) + self.offsets[piece]

    def _by_quadrature(self, k: Tensor) -> Tensor:
        """Gauss points on the triangles from each polygon's first corner."""
        total = torch.zeros(len(k), dtype=torch.complex128, device=k.device)
        for part in torch.split(torch.arange(len(self.weights), device=k.device), ROWS):
            points, weights = _gauss(self.vertices[part])
            mass = weights * self.at(points, part[:, None, None].expand(weights.shape))
            total += (mass * torch.exp(-1j * (points @ k[:, None, None, :, None])[..., 0])).sum((1, 2, 3))
        return total


def signed_areas(vertices: Float[Tensor, "p v 2"]) -> Float[Tensor, " p"]:
    """The areas of polygons, positive where the corners go anticlockwise."""
    shifted = vertices - vertices[:, :1]
    following = shifted.roll(-1, dims=1)
    return (shifted[..., 0] * following[..., 1] - shifted[..., 1] * following[..., 0]).sum(1) / 2


def _sinc(k: Tensor, edges: Edges) -> Tensor:
    return j0(k @ edges.vector.T / 2)


def _gauss(vertices: Float[Tensor, "p v 2"]) -> tuple[Float[Tensor, "p t q 2"], Float[Tensor, "p t q"]]:
    """Gauss points and weights on the triangles that a polygon's first corner spans with its edges."""
    nodes, weights = (torch.as_tensor(z, device=vertices.device) / 2 for z in np.polynomial.legendre.leggauss(POINTS))
    s, share = (grid.reshape(-1, 1) for grid in torch.meshgrid(nodes + 0.5, nodes + 0.5, indexing="ij"))
    t = share * (1 - s)  # the square, collapsed to the triangle s, t ≥ 0, s + t ≤ 1
    corner = vertices[:, :1, None]
    a, b = vertices[:, 1:-1, None] - corner, vertices[:, 2:, None] - corner
    jacobian = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return corner + s * a + t * b, jacobian * ((weights[:, None] * weights).reshape(-1, 1) * (1 - s)).squeeze(1)
