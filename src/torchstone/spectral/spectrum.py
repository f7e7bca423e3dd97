"""A measured spectrum: amplitudes at frequencies, how fast they fall, and a picture of that."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def decay_exponent(frequencies: Float[Tensor, " n"], amplitudes: Float[Tensor, " n"], *, windows: int = 10) -> float:
    r"""The power p of an envelope that falls like :math:`|k|^p`, by least squares on logarithms.

    A spectrum oscillates and has zeros; its envelope does not. The range of frequencies is cut into ``windows`` of
    equal ratio, the largest amplitude of each is taken where it stands, and a line is fitted to the logarithms.

    Args:
        frequencies: absolute frequencies, positive, in any order, shape (n,).
        amplitudes: at these, not negative, shape (n,).
        windows: the number of windows; those without a frequency, or with amplitudes of 0 only, do not count.

    Returns:
        p, -2 for the spectrum of a kink, -1 for that of a jump; nan where fewer than 3 windows count.

    Raises:
        ValueError: shapes differ, or a number is not finite, or has the wrong sign.

    >>> k = torch.arange(10.0, 1000.0)
    >>> round(decay_exponent(k, (1 - torch.cos(0.7 * k)) / k**2), 1)  # a hat function
    -2.0

    Paper: Rahaman et al. 2019, arXiv:1806.08734, Theorem 1 is the law that it is fitted to.
    Differs from the paper: the paper states the rate and fits nothing.
    """
    k, a = frequencies.double().cpu(), amplitudes.double().cpu()
    if k.ndim != 1 or k.shape != a.shape or not (k.isfinite().all() and a.isfinite().all()):
        raise ValueError("frequencies and amplitudes must be finite vectors of one length.")
    if windows < 3 or len(k) == 0 or k.min() <= 0 or a.min() < 0:
        raise ValueError("frequencies must be positive, amplitudes not negative, and windows at least 3.")
    peaks = torch.tensor([(k[i], a[i]) for i in _peaks(k, a, windows)]).double().log()
    if len(peaks) < 3:
        return math.nan
    x, y = (peaks - peaks.mean(0)).unbind(1)
    return float((x * y).sum() / x.square().sum())


def _peaks(k: Float[Tensor, " n"], a: Float[Tensor, " n"], windows: int) -> list[int]:
    """Where the largest amplitude of each window of frequencies is, if it is not 0."""
    logs = k.log()
    span = (logs.max() - logs.min()).clamp_min(1e-12)
    window = ((logs - logs.min()) / span * windows).long().clamp_max(windows - 1)
    inside = (torch.where(window == w, a, 0) for w in range(windows))
    return [int(part.argmax()) for part in inside if part.max() > 0]


@dataclass(frozen=True, eq=False)
class Spectrum:
    r"""Amplitudes of a function at frequencies; made by :func:`measure`.

    The convention, everywhere: a sine :math:`A \sin(2\pi \nu \cdot x + \varphi)` with a whole number of periods in the
    box has amplitude A at :math:`\nu`: twice the absolute mean of :math:`f(x)\, e^{-2\pi i \nu \cdot x}` over the
    box; at :math:`\nu = 0` it is the absolute mean of f, once.

    Args:
        frequencies: :math:`\nu`, (n,), or (n, 2) on the plane; cycles per ``unit``.
        amplitudes: shape (n,); along lines (lines, n).
        tapered: likewise, of the function times a Hann window that is 0 at the ends of the box. Without it the jump at
            the box's ends, which falls like 1/ν, hides how fast the function's own spectrum falls.
        method: ``"exact"`` (the linear pieces of a ReLU network) or ``"sampled"`` (a grid).
        unit: ``"unit of x"`` or ``"line"``.
        regions: how many linear pieces were found, on all lines together; 0 if sampled.
    """

    frequencies: Float[Tensor, "..."]
    amplitudes: Float[Tensor, "..."]
    tapered: Float[Tensor, "..."]
    method: Literal["exact", "sampled"]
    unit: str
    regions: int

    @property
    def magnitudes(self) -> Float[Tensor, " n"]:
        r""":math:`|\nu|`."""
        return self.frequencies.norm(dim=1) if self.frequencies.ndim == 2 else self.frequencies.abs()

    @property
    def decay(self) -> float:
        """The exponent p of :math:`|\\nu|^p`, fitted to the envelope of the tapered spectrum; see the caveat.

        Fitted over all frequencies but 0. Over few, or low ones, it is no asymptotic law.
        """
        moving = self.magnitudes > 0
        heights = self.tapered.reshape(-1, len(moving)).square().mean(0).sqrt()
        return decay_exponent(self.magnitudes[moving], heights[moving]) if moving.any() else math.nan

    def plot(self) -> "Figure":
        """Amplitude over frequency, both on logarithmic axes: a ``matplotlib.figure.Figure`` of no window."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6.4, 3.8), layout="constrained")
        axes = figure.add_subplot()
        moving = self.magnitudes > 0
        order = self.magnitudes[moving].argsort()
        x = self.magnitudes[moving][order]
        drawn: Sequence[tuple[str, Tensor, str, str]] = (
            ("as it is", self.amplitudes, "#2b5c8a", "o"),
            ("tapered at the ends", self.tapered, "#c8553d", "D"),
        )
        for label, values, colour, marker in drawn:
            height = values.reshape(-1, len(moving)).square().mean(0).sqrt()[moving][order]
            axes.plot(x, height, marker, color=colour, markersize=3.5, label=label)
        axes.set(xscale="log", yscale="log", xlabel=f"frequency, cycles per {self.unit}", ylabel="amplitude")
        axes.set_title(f"{self.method}, tapered amplitude ~ frequency^{self.decay:.1f}", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        return figure
