"""ReLU networks along a line are broken lines: their exact knots and their exact Fourier transform."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from torchstone.spectral.function import (
    ROWS,
    UNDERSTOOD,
    Box,
    Function,
    Model,
    NotPiecewiseLinearError,
    check_frequencies,
    corners,
    function_of,
)

ZERO = 1e-13  # of the largest value: what is smaller is rounding
STRAIGHT = 1e-8  # how far from a straight line, as a fraction of the largest value, still counts as one
TERMS = 2**16  # (frequencies × pieces) at a time: they stay in the cache


@dataclass(frozen=True, eq=False)
class PiecewiseLinear1d:
    r"""A broken line on :math:`[a, b]`, zero elsewhere.

    Args:
        knots: :math:`a = x_0 < \dots < x_m = b`, shape (m + 1,), float64.
        values: :math:`f(x_j)`, shape (m + 1,).
        slopes: :math:`f'` on :math:`(x_j, x_{j+1})`, shape (m,).
    """

    knots: Float[Tensor, " m+1"]
    values: Float[Tensor, " m+1"]
    slopes: Float[Tensor, " m"]

    @property
    def regions(self) -> int:
        """The number of pieces: intervals on which no unit switches. Two neighbours may happen to have one slope."""
        return len(self.slopes)

    @property
    def lipschitz(self) -> float:
        """The exact Lipschitz constant on [a, b]: the largest absolute slope."""
        return float(self.slopes.abs().max())

    def __call__(self, x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The values at ``x``, each in [a, b]; elsewhere a ValueError."""
        if not ((x >= self.knots[0]) & (x <= self.knots[-1])).all():
            raise ValueError(f"x must lie in [{float(self.knots[0]):g}, {float(self.knots[-1]):g}], but it is {x!r}.")
        right = torch.searchsorted(self.knots, x.double()).clamp(1, self.regions)
        share = (x - self.knots[right - 1]) / (self.knots[right] - self.knots[right - 1])
        return torch.lerp(self.values[right - 1], self.values[right], share.double())

    def fourier(self, k: Float[Tensor, " n"]) -> Complex[Tensor, " n"]:
        r"""The exact transform over [a, b].

        .. math::
            \tilde f(k) = \int_a^b f(x)\, e^{-ikx}\, dx
            = \sum_j h_j e^{-ikc_j} \left[ \bar f_j \, j_0(u_j) - \tfrac{i}{2} \, \Delta f_j \, j_1(u_j) \right],
            \qquad u_j = k h_j / 2

        with :math:`h_j, c_j` the width and centre of piece j, :math:`\bar f_j, \Delta f_j` its mean value and its rise,
        and :math:`j_0, j_1` the spherical Bessel functions. No division by k: it holds at and near k = 0, too.

        Args:
            k: angular frequencies, radians a unit of x, shape (n,).

        Returns:
            complex128, shape (n,), in the unit of f times that of x.

        Raises:
            ValueError: ``k`` is not a vector of finite real numbers.

        >>> hat = PiecewiseLinear1d(*(torch.tensor(z).double() for z in ([-1, 0, 1], [0, 1, 0], [1, -1])))
        >>> hat.fourier(torch.tensor([0.0, torch.pi])).real  # 2 (1 - cos k) / k²
        tensor([1.0000, 0.4053], dtype=torch.float64)

        Paper: Rahaman et al. 2019, arXiv:1806.08734, Lemma 1 for d = 1, with the end terms.
        Differs from the paper: summed by pieces instead of by knots, which is the same and loses no digits at small k.
        """
        k = check_frequencies(k).to(self.knots.device)
        if k.ndim != 1:
            raise ValueError(f"k must be a vector of frequencies, but its shape is {tuple(k.shape)}.")
        rows = max(1, TERMS // self.regions)
        return torch.cat([self._fourier(part[:, None]) for part in torch.split(k, rows)])

    def _fourier(self, k: Float[Tensor, "n 1"]) -> Complex[Tensor, " n"]:
        width, centre = self.knots.diff(), (self.knots[1:] + self.knots[:-1]) / 2
        mean, rise = (self.values[1:] + self.values[:-1]) / 2, self.values.diff()
        u = k * width / 2
        pieces = torch.complex(mean * j0(u), -rise * j1(u) / 2)
        return (width * pieces * torch.exp(-1j * k * centre)).sum(1)


def relu_regions_1d(model: Model, box: Box, *, output: int | None = None) -> PiecewiseLinear1d:
    """A ReLU network of one input on an interval, as the exact broken line that it is.

    Each unit's pre-activation is affine between the knots of the layers before it, so it vanishes where a straight
    line through its values at two knots does; layer by layer, all units and all pieces at once.

    Args:
        model: from (n, 1) to (n, 1), or to (n, c) with ``output``. Any module that is linear but for bends: Linear,
            ReLU, LeakyReLU, PReLU, ReLU6, Hardtanh, abs, clamp, maximum, minimum, as modules or functions, residual
            connections, BatchNorm, Dropout. A copy in float64 and eval mode is looked at.
        box: (a, b).
        output: which output, where there are several.

    Returns:
        The broken line.

    Raises:
        NotPiecewiseLinearError: between the knots the network is not straight (tanh, softmax, max pooling, ...).
        ValueError: a bad box, more than one output and none chosen, values that are not finite.

    >>> net = torch.nn.Sequential(torch.nn.Linear(1, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1)).requires_grad_(False)
    >>> for p, z in zip(net.parameters(), ([[1.0], [1.0]], [0.0, -0.5], [[1.0, -2.0]], [0.0])):
    ...     _ = p.copy_(torch.tensor(z))
    >>> relu_regions_1d(net, (0, 1)).knots
    tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 2.
    Differs from the paper: the paper states the pieces; this finds them.
    """
    low, high = corners(box)
    if low.numel() != 1:
        raise ValueError(f"box must be (a, b) with two numbers, but its corners have shape {tuple(low.shape)}.")
    function = function_of(model, [1], output)
    line = along_segment(function, low.reshape(1), high.reshape(1))
    span = float(high - low)
    return PiecewiseLinear1d(float(low) + span * line.knots, line.values, line.slopes / span)


def relu_regions_on_line(
    model: Model, start: Float[Tensor, "*shape"], end: Float[Tensor, "*shape"], *, output: int | None = None
) -> PiecewiseLinear1d:
    r"""A ReLU network along a segment of its input space, :math:`t \mapsto f(x_0 + t (x_1 - x_0))` for t in [0, 1].

    Args:
        model: as in :func:`relu_regions_1d`, from (n, \*shape); convolutions and average pooling are linear, too.
        start: :math:`x_0`, one input without the batch dimension.
        end: :math:`x_1`, of the same shape.
        output: which entry of the flattened output, where there are several.

    Returns:
        The broken line over t.

    Raises:
        NotPiecewiseLinearError: between the knots the network is not straight.
        ValueError: the ends differ in shape, coincide or are not finite; more than one output and none chosen.

    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.ReLU())
    >>> relu_regions_on_line(net, -torch.ones(2, 2), torch.ones(2, 2), output=3).knots
    tensor([0.0000, 0.5000, 1.0000], dtype=torch.float64)

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 2.
    Differs from the paper: nothing.
    """
    if start.shape != end.shape or not (start.isfinite().all() and end.isfinite().all()) or torch.equal(start, end):
        raise ValueError(
            f"start and end must be two different finite inputs of one shape, but they have shapes "
            f"{tuple(start.shape)} and {tuple(end.shape)}."
        )
    return along_segment(function_of(model, start.shape, output), start.flatten(), end.flatten())


def along_segment(
    function: Function, start: Float[Tensor, " d"], end: Float[Tensor, " d"], *, most: float = math.inf
) -> PiecewiseLinear1d:
    """The broken line t ↦ f(start + t (end - start)) on [0, 1].

    Raises:
        NotPiecewiseLinearError: it is none.
        TooManyRegionsError: for one operation, (knots before it) · (what it bends) would be above ``most``.
    """
    origin, direction = (z.to(function.device, torch.float64) for z in (start, end - start))
    knots, index = torch.tensor([0.0, 1.0], dtype=torch.float64, device=function.device), 0
    while (more := _crossings(function, origin, direction, knots, index, most)) is not None:
        knots, index = _merged(knots, more), index + 1
    middles = (knots[1:] + knots[:-1]) / 2
    line = PiecewiseLinear1d(
        knots,
        function(origin + knots[:, None] * direction),
        function.gradients(origin + middles[:, None] * direction) @ direction,
    )
    _check_straight(function, origin, direction, line)
    return line


def _crossings(
    function: Function, origin: Tensor, direction: Tensor, knots: Tensor, index: int, most: float
) -> Tensor | None:
    """Where on the line the ``index``-th operation bends."""
    found = []
    for part in _overlapping(knots):
        levels = function.bend(origin + part[:, None] * direction, index, most=most * len(part) / len(knots))
        if levels is None:
            return None
        levels = torch.where(levels.abs() <= ZERO * levels.abs().max(), 0, levels)
        piece, unit = (levels[1:] * levels[:-1] < 0).nonzero(as_tuple=True)
        left, right = levels[piece, unit], levels[piece + 1, unit]
        found.append(torch.lerp(part[piece], part[piece + 1], left / (left - right)))
    return torch.cat(found)


def _overlapping(knots: Tensor) -> Iterator[Tensor]:
    """The knots in parts of limited length, each of which begins with the last knot of the one before."""
    for first in range(0, len(knots) - 1, ROWS - 1):
        yield knots[first : first + ROWS]


def _merged(knots: Tensor, more: Tensor) -> Tensor:
    """All knots in order, without those that differ by rounding only; the ends stay."""
    inner = torch.cat([knots[1:-1], more]).sort().values
    inner = inner[(inner > ZERO) & (inner < 1 - ZERO)]
    fresh = torch.diff(inner, prepend=inner.new_zeros(1)) > ZERO
    return torch.cat([knots[:1], inner[fresh], knots[-1:]])


def _check_straight(function: Function, origin: Tensor, direction: Tensor, line: PiecewiseLinear1d) -> None:
    """At least 64 points between the knots lie on the broken line."""
    many = 1 + 64 // line.regions
    shares = (torch.arange(many, device=line.knots.device) + 0.382) / many
    inner = (line.knots[:-1, None] + line.knots.diff()[:, None] * shares).flatten()
    error = float((function(origin + inner[:, None] * direction) - line(inner)).abs().max())
    scale = float(line.values.abs().max())
    if error > STRAIGHT * scale:
        raise NotPiecewiseLinearError(
            f"model is not piecewise linear, or bends where that cannot be seen: between two knots it departs from a "
            f"straight line by {error:.1e} (values up to {scale:.1e}). Understood are linear operations with "
            f"{UNDERSTOOD}. torchstone.spectral.measure samples every other model."
        )


def j0(u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The spherical Bessel function sin(u) / u."""
    return torch.sinc(u / torch.pi)


def j1(u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """The spherical Bessel function (sin(u) / u - cos(u)) / u, by its series near 0, where that loses digits."""
    square = u.square()
    series = u / 3 * (1 - square / 10 * (1 - square / 28 * (1 - square / 54 * (1 - square / 88 * (1 - square / 130)))))
    near = u.abs() < 0.4
    far = torch.where(near, torch.ones_like(u), u)
    return torch.where(near, series, (j0(far) - torch.cos(far)) / far)
