"""ReLU networks on the plane: their linear regions as polygons, and their exact Fourier transform."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from torchstone.spectral.function import (
    UNDERSTOOD,
    Box,
    Function,
    Model,
    NotPiecewiseLinearError,
    TooManyRegionsError,
    corners,
    function_of,
)
from torchstone.spectral.polygons import AffinePieces, Edges, signed_areas
from torchstone.spectral.relu_1d import STRAIGHT
from torchstone.spectral.splitting import split, stacked

ZERO = 1e-12  # of a unit's largest value: a corner as near to its line lies on it
MOST_REGIONS = 200_000


@dataclass(frozen=True, eq=False)
class PiecewiseLinear2d:
    r"""A continuous function that is :math:`W_e \cdot x + b_e` on polygon e of a box, zero outside the box.

    Args:
        vertices: the corners of the polygons, anticlockwise, shape (p, v, 2), float64; polygons with fewer than v
            corners repeat their last.
        weights: :math:`W_e`, shape (p, 2).
        offsets: :math:`b_e`, shape (p,).
        low: the lower left corner of the box, shape (2,).
        high: its upper right corner, shape (2,).
    """

    vertices: Float[Tensor, "p v 2"]
    weights: Float[Tensor, "p 2"]
    offsets: Float[Tensor, " p"]
    low: Float[Tensor, " 2"]
    high: Float[Tensor, " 2"]

    @property
    def regions(self) -> int:
        """The number of polygons: sets on which no unit switches. Neighbours may happen to have one W."""
        return len(self.weights)

    @property
    def lipschitz(self) -> float:
        r"""The exact Lipschitz constant on the box, :math:`\max_e |W_e|` (Euclidean)."""
        return float(self.weights.norm(dim=1).max())

    @property
    def areas(self) -> Float[Tensor, " p"]:
        """The areas of the polygons; they sum to that of the box."""
        return signed_areas(self.vertices)

    def fourier(self, k: Float[Tensor, "n 2"]) -> Complex[Tensor, " n"]:
        r"""The exact transform over the box, its boundary terms included.

        .. math::
            \tilde f(k) = \int_{\text{box}} f(x)\, e^{-ik \cdot x} dx = \frac{i}{|k|^2} \Big[
            \oint_{\partial \text{box}} f\, e^{-ik \cdot x} (k \cdot n)\, ds
            - \sum_e (W_e \cdot k)\, \tilde 1_{P_e}(k) \Big]

        Where f vanishes on the boundary, this is the paper's Lemma 1 with its sign put right: -i for this convention.

        Args:
            k: angular frequencies, radians a unit of x, shape (n, 2).

        Returns:
            complex128, shape (n,), in the unit of f times that of x squared.

        Raises:
            ValueError: ``k`` is not (n, 2) or not finite.

        Paper: Rahaman et al. 2019, arXiv:1806.08734, Lemma 1 and Lemma 2.
        Differs from the paper: the sign of Lemma 1; the boundary terms; edges in closed form.
        """
        pieces = AffinePieces(self.vertices, self.weights, self.offsets)
        return pieces.fourier(k, outline=self._outline())

    def _outline(self) -> Edges:
        """The edges on the boundary of the box: a cut of an edge on it has that very coordinate."""
        edges = Edges.around(self.vertices)
        sides = [((edges.start == side) & (edges.end == side)).any(1) for side in (self.low, self.high)]
        return edges.only(sides[0] | sides[1])


def relu_regions_2d(model: Model, box: Box, *, output: int | None = None, most: float = math.inf) -> PiecewiseLinear2d:
    """A ReLU network of two inputs on a box, as the exact polygons on which it is affine.

    Each unit's pre-activation is affine on the regions of the layers before it, so it cuts each of them along a
    straight line or not at all; unit by unit, all regions at once, in float64. A unit that comes nearer to a corner
    than 1e-12 of its largest value passes through it, so slivers thinner than that do not arise.

    Args:
        model: from (n, 2) to (n, 1), or to (n, c) with ``output``; made as :func:`relu_regions_1d` asks.
        box: (lower left corner, upper right corner), such as ([0, 0], [1, 1]).
        output: which output, where there are several.
        most: the work that is worth it: (corners of all polygons) · (units of a layer) that are looked at together;
            2²⁵ take about half a minute and 2 GB.

    Returns:
        The polygons with W and b of each.

    Raises:
        NotPiecewiseLinearError: the network is not affine on a polygon that was found (tanh, max pooling, ...).
        TooManyRegionsError: more than 200,000 regions, or more work than ``most``.
        ValueError: a bad box; more than one output and none chosen; values that are not finite.

    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.ReLU()).requires_grad_(False)
    >>> _ = net[0].weight.copy_(torch.tensor([[1.0, -1.0]])), net[0].bias.zero_()
    >>> pieces = relu_regions_2d(net, ([0, 0], [1, 1]))
    >>> pieces.regions, pieces.areas.tolist(), round(pieces.lipschitz, 4)
    (2, [0.5, 0.5], 1.4142)

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 2.
    Differs from the paper: the paper states the regions; this finds them.
    """
    low, high = corners(box)
    if low.shape != (2,):
        raise ValueError(f"box must be a pair of corners of 2 numbers, but they have shape {tuple(low.shape)}.")
    function = function_of(model, [2], output)
    low, high = low.to(function.device), high.to(function.device)
    vertices, index = _rectangle(low, high), 0
    while (cut := _cut(function, vertices, index, most)) is not None:
        vertices, index = cut, index + 1
    centres = _centres(vertices)
    weights = function.gradients(centres)
    pieces = PiecewiseLinear2d(vertices, weights, function(centres) - (weights * centres).sum(1), low, high)
    _check_flat(function, pieces)
    return pieces


def _rectangle(low: Tensor, high: Tensor) -> Float[Tensor, "1 4 2"]:
    (left, bottom), (right, top) = low, high
    return torch.stack([left, bottom, right, bottom, right, top, left, top]).view(1, 4, 2)


def _cut(
    function: Function, vertices: Float[Tensor, "p v 2"], index: int, most: float
) -> Float[Tensor, "q w 2"] | None:
    """Cut the polygons wherever the ``index``-th operation bends; ``None`` if there is no such operation."""
    levels = function.bend(vertices.flatten(0, 1), index, most=most)
    if levels is None:
        return None
    levels = levels.view(*vertices.shape[:2], -1)
    centres, scale = _centres(vertices), levels.abs().amax((0, 1))
    slopes = torch.linalg.pinv(vertices - centres[:, None]) @ (levels - levels.mean(1, keepdim=True))  # (p, 2, u)
    crossing = ((levels > ZERO * scale).any(1) & (levels < -ZERO * scale).any(1)).any(0)
    parent = torch.arange(len(vertices), device=vertices.device)
    for unit in crossing.nonzero().flatten().tolist():
        plane = slopes[parent, :, unit]
        level = (
            levels[:, :, unit].mean(1)[parent, None] + ((vertices - centres[parent, None]) @ plane[..., None])[..., 0]
        )
        vertices, parent = _cut_by(vertices, parent, torch.where(level.abs() <= ZERO * scale[unit], 0, level))
    return vertices


def _cut_by(vertices: Tensor, parent: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """Cut those polygons on which ``level`` (p, v) has both signs; ``parent`` goes with the parts."""
    crossed = (level > 0).any(1) & (level < 0).any(1)
    if not crossed.any():
        return vertices, parent
    above, below = split(vertices[crossed], level[crossed])
    family = torch.cat([parent[~crossed], parent[crossed], parent[crossed]])
    if len(family) > MOST_REGIONS:
        raise TooManyRegionsError(
            f"model has more than {MOST_REGIONS:,} linear regions on this box: take a smaller box or a smaller network."
        )
    return stacked([vertices[~crossed], above, below]), family


def _centres(vertices: Float[Tensor, "p v 2"]) -> Float[Tensor, "p 2"]:
    """A point inside each polygon: the mean of its corners, the last with its repetitions."""
    return vertices.mean(1)


def _check_flat(function: Function, pieces: PiecewiseLinear2d) -> None:
    """The network is W · x + b at the corners of each polygon and halfway to them."""
    middles = (pieces.vertices + _centres(pieces.vertices)[:, None]) / 2
    points = torch.cat([pieces.vertices, middles], 1)
    stated = (points * pieces.weights[:, None]).sum(2) + pieces.offsets[:, None]
    actual = function(points.flatten(0, 1)).view_as(stated)
    error, scale = float((stated - actual).abs().max()), float(actual.abs().max())
    if error > STRAIGHT * scale:
        raise NotPiecewiseLinearError(
            f"model is not piecewise linear, or bends where that cannot be seen: on a polygon it departs from a plane "
            f"by {error:.1e} (values up to {scale:.1e}). Understood are linear operations with {UNDERSTOOD}. "
            "torchstone.spectral.measure samples every other model."
        )
