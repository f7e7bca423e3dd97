"""The spectrum of a user's own network: exact where it is piecewise linear, sampled otherwise."""

import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from torchstone.spectral.function import (
    Box,
    Model,
    NotPiecewiseLinearError,
    TooManyRegionsError,
    check_frequencies,
    corners,
    function_of,
)
from torchstone.spectral.regions_2d import PiecewiseLinear2d, relu_regions_2d
from torchstone.spectral.relu_1d import PiecewiseLinear1d, along_segment, relu_regions_1d
from torchstone.spectral.spectrum import Spectrum

Method = Literal["auto", "exact", "sampled"]
Frequencies = Tensor | Sequence[float] | Sequence[Sequence[float]] | None
Transform = Callable[[Float[Tensor, "n d"]], Complex[Tensor, " n"]]
WHOLE = 1e-6  # how near a number of periods must come to a whole one
MOST_ON_LINE, MOST_ON_PLANE = 2**21, 2**25  # (corners × units) of one layer: what has more is sampled


class SpectralWarning(UserWarning):
    """A spectrum that is easily read for what it is not."""


def measure(
    model: Model,
    box: Box,
    frequencies: Frequencies = None,
    *,
    lines: int | Tensor | None = None,
    output: int | None = None,
    n: int = 256,
    method: Method = "auto",
    seed: int = 0,
) -> Spectrum:
    r"""Which frequencies a network holds: any network of 1 or 2 inputs, and any network at all along lines.

    .. math::
        A(\nu) = \frac{2}{|B|} \left| \int_B f(x)\, e^{-2\pi i \nu \cdot x}\, dx \right|
        \quad\text{or}\quad \frac{2}{N} \left| \sum_j f(x_j)\, e^{-2\pi i \nu \cdot x_j} \right|

    (A(0) without the factor 2.) The integral is exact where the network is piecewise linear
    (:func:`relu_regions_1d`, :func:`relu_regions_2d`); any other is sampled on the grid low + (high - low) j/n, which
    leaves out the far end.

    Args:
        model: from (n, \*shape) to one number each, or to several with ``output``. A copy in float64 and eval mode is
            looked at; a callable that is no module is called as it is, with float64.
        box: B = (low, high): two numbers, two corners, or two tensors of the shape of one input.
        frequencies: :math:`\nu` in cycles per unit of x, shape (n,), or (n, 2) on the plane; along lines in cycles per
            line. By default the whole numbers of periods that fit, up to n/4, on the plane n/16
            a side in all directions, each once.
        lines: how many random lines to look along, each from one point drawn uniformly in the box to another; or the
            lines themselves, a tensor (lines, 2, \*shape) of ends, from one picture to another for example. Needed for
            more than 2 inputs.
        output: which entry of the flattened output, where there are several.
        n: points a side of the grid, where it is sampled.
        method: ``"auto"`` is exact where that takes some seconds, and samples where the network is not piecewise
            linear or has too many pieces: corners of pieces times units of a layer above 2²¹ on a line, 2²⁵ on the
            plane. ``"exact"`` never samples, however long it takes; ``"sampled"`` always does.
        seed: of the random lines.

    Returns:
        The spectrum, which says by which method it came.

    Raises:
        ValueError: a bad box or shape; a sampled frequency at or above the Nyquist frequency n / (2 · side).
        NotPiecewiseLinearError: ``method="exact"`` and it is not.
        TooManyRegionsError: ``method="exact"`` and more than 200,000 pieces on the plane.

    Warns:
        SpectralWarning: a frequency has no whole number of periods in the box: its amplitude leaks into others.

    >>> spectrum = measure(lambda x: 3 * torch.sin(2 * torch.pi * 5 * x), (0, 1), [4, 5, 6])
    >>> spectrum.method, spectrum.amplitudes.round(decimals=6).abs().tolist()
    ('sampled', [0.0, 3.0, 0.0])

    Paper: Rahaman et al. 2019, arXiv:1806.08734, sections 2 and 3; the normalisation is that of figure 1.
    Differs from the paper: integrals instead of sums where they are exact; a tapered spectrum for the decay.
    """
    low, high = corners(box)
    _check(method, n, low, lines)
    if lines is not None:
        return _along_lines(model, _ends(lines, low, high, seed), frequencies, output, n, method)
    low, sides = low.reshape(-1), (high - low).reshape(-1)
    nu = _frequencies(frequencies, sides, n)
    transform, regions = _over_box(model, low, sides, output, n, method)
    plain, tapered = _amplitudes(transform, nu, low, sides, n, sampled=not regions)
    return _spectrum(nu, plain, tapered, "unit of x", regions)


def _check(method: str, n: int, low: Tensor, lines: int | Tensor | None) -> None:
    if method not in ("auto", "exact", "sampled"):
        raise ValueError(f"method must be 'auto', 'exact' or 'sampled', but it is {method!r}.")
    if not isinstance(n, int) or n < 16:
        raise ValueError(f"n must be a whole number of at least 16 points a side, but it is {n!r}.")
    if lines is None and low.numel() > 2:
        raise ValueError(f"box has {low.numel()} dimensions: for more than 2, say how many lines=... to look along.")


def _spectrum(nu: Tensor, plain: Tensor, tapered: Tensor, unit: str, regions: int) -> Spectrum:
    return Spectrum(
        nu if nu.shape[1] > 1 else nu[:, 0], plain, tapered, "exact" if regions else "sampled", unit, regions
    )


def _over_box(
    model: Model, low: Tensor, sides: Tensor, output: int | None, n: int, method: str
) -> tuple[Transform, int]:
    """The mean of f e^{-2πiνx} over the box as a function of ν, and the number of linear regions, 0 if sampled."""
    function, area = function_of(model, [len(sides)], output), float(sides.prod())
    if method != "sampled":
        try:
            pieces = _pieces(model, (low, low + sides), output, math.inf if method == "exact" else MOST_ON_PLANE)
            return lambda nu: pieces.fourier(_angular(nu.squeeze(1))).cpu() / area, pieces.regions
        except (NotPiecewiseLinearError, TooManyRegionsError):
            if method == "exact":
                raise
    axes = [start + side * torch.arange(n) / n for start, side in zip(low, sides, strict=True)]
    points = torch.cartesian_prod(*axes).reshape(-1, len(sides))
    return _sampled(function(points.to(function.device)).cpu().view([n] * len(sides)), axes), 0


def _pieces(
    model: Model, box: tuple[Tensor, Tensor], output: int | None, most: float
) -> PiecewiseLinear1d | PiecewiseLinear2d:
    if len(box[0]) == 1:
        return relu_regions_1d(model, box, output=output)
    return relu_regions_2d(model, box, output=output, most=most)


def _along_lines(
    model: Model, ends: Tensor, frequencies: Frequencies, output: int | None, n: int, method: str
) -> Spectrum:
    unit = torch.ones(1, dtype=torch.float64)
    nu = _frequencies(frequencies, unit, n)
    transforms, regions = _over_lines(model, ends, output, n, method)
    found = [_amplitudes(transform, nu, 0 * unit, unit, n, sampled=not regions) for transform in transforms]
    plain, tapered = (torch.stack(rows) for rows in zip(*found, strict=True))
    return _spectrum(nu, plain, tapered, "line", regions)


def _over_lines(model: Model, ends: Tensor, output: int | None, n: int, method: str) -> tuple[list[Transform], int]:
    """As :func:`_over_box`, for t in [0, 1] from one point to another: all lines exact, or all sampled."""
    function = function_of(model, ends.shape[2:], output)
    segments = ends.flatten(2).to(function.device, torch.float64)
    if method != "sampled":
        most = math.inf if method == "exact" else MOST_ON_LINE
        try:
            lines = [along_segment(function, start, end, most=most) for start, end in segments]
            return [_exactly(line) for line in lines], sum(line.regions for line in lines)
        except (NotPiecewiseLinearError, TooManyRegionsError):
            if method == "exact":
                raise
    t = torch.arange(n, dtype=torch.float64) / n
    shares = t[:, None].to(function.device)
    return [_sampled(function(torch.lerp(start, end, shares)).cpu(), [t]) for start, end in segments], 0


def _exactly(line: PiecewiseLinear1d) -> Transform:
    return lambda nu: line.fourier(_angular(nu[:, 0])).cpu()


def _sampled(values: Float[Tensor, "*n"], axes: Sequence[Float[Tensor, " n"]]) -> Transform:
    """The mean of the values times e^{-2πiνx} over a grid with these axes."""

    def transform(nu: Float[Tensor, "m d"]) -> Complex[Tensor, " m"]:
        waves = [torch.exp(-1j * _angular(nu[:, i, None]) * x) / len(x) for i, x in enumerate(axes)]
        first = waves[0] @ values.to(torch.complex128)
        return first if len(waves) == 1 else (first * waves[1]).sum(1)

    return transform


def _amplitudes(
    transform: Transform, nu: Tensor, low: Tensor, sides: Tensor, n: int, *, sampled: bool
) -> tuple[Tensor, Tensor]:
    r"""Amplitudes at ν, plain and under the window ∏ (1 - cos(2π (x - low) / side)), of mean 1: a sum of shifts."""
    if sampled:
        _refuse_aliases(nu, n / sides / 2)
    shifts = torch.tensor(list(itertools.product((0, -1, 1), repeat=len(sides))))  # the first is none
    wanted = (nu - (shifts / sides)[:, None]).reshape(-1, len(sides))
    once, place = torch.unique(wanted, dim=0, return_inverse=True)
    values = transform(once)[place].view(len(shifts), -1)
    weights = (-0.5) ** shifts.abs().sum(1) * torch.exp(-1j * _angular((shifts * low / sides).sum(1)))
    double = torch.where((nu == 0).all(1), 1, 2)
    return double * values[0].abs(), double * (weights[:, None] * values).sum(0).abs()


def _angular(nu: Tensor) -> Tensor:
    return 2 * math.pi * nu


def _frequencies(frequencies: Frequencies, sides: Float[Tensor, " d"], n: int) -> Float[Tensor, "m d"]:
    """What was asked for, checked, or whole numbers of periods."""
    if frequencies is None:
        return _whole_periods(len(sides), n) / sides
    nu = check_frequencies(torch.as_tensor(frequencies), "frequencies").cpu()
    nu = nu[:, None] if nu.ndim == 1 and len(sides) == 1 else nu
    if nu.ndim != 2 or nu.shape[1] != len(sides) or not len(nu):
        raise ValueError(
            f"frequencies must be one row of {len(sides)} numbers for each, at least one, but their shape is "
            f"{tuple(nu.shape)}."
        )
    periods = nu * sides
    if (periods - periods.round()).abs().max() > WHOLE:
        warnings.warn(
            "A frequency has no whole number of periods in the box: it does not fit, and its amplitude leaks into "
            "others. Take multiples of 1 / side.",
            SpectralWarning,
            stacklevel=3,
        )
    return nu


def _whole_periods(d: int, n: int) -> Tensor:
    if d == 1:
        return torch.arange(n // 4 + 1)[:, None].double()
    most = n // 16
    grid = torch.cartesian_prod(torch.arange(most + 1), torch.arange(-most, most + 1))
    return grid[(grid[:, 0] > 0) | (grid[:, 1] >= 0)].double()  # ν and -ν are one


def _refuse_aliases(nu: Tensor, nyquist: Tensor) -> None:
    if (nu.abs() >= nyquist).any():
        raise ValueError(
            f"frequencies reach {float(nu.abs().max()):g}, but the grid sees only those below its Nyquist frequency, "
            f"{float(nyquist.min()):g}: raise n, or leave them out."
        )


def _ends(lines: int | Tensor, low: Tensor, high: Tensor, seed: int) -> Float[Tensor, "m 2 *shape"]:
    if isinstance(lines, Tensor):
        if lines.ndim < 3 or lines.shape[1:] != (2, *low.shape) or not len(lines) or not lines.isfinite().all():
            raise ValueError(
                f"lines must be finite, of shape (lines, 2, *{tuple(low.shape)}), but it is {tuple(lines.shape)}."
            )
        return lines.cpu()
    if not isinstance(lines, int) or isinstance(lines, bool) or lines < 1:
        raise ValueError(f"lines must be a whole number of at least 1, or a tensor of ends, but it is {lines!r}.")
    draws = torch.rand(lines, 2, *low.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return low + (high - low) * draws
