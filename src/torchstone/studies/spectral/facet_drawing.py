"""The pictures of the claim about facets, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from torchstone.lab import Estimate
from torchstone.pictures import svg

COLOURS, MUTED = ("#2b5c8a", "#c8553d"), "#8a8f98"
MARKERS = ("o", "D")


def spectra(
    panels: Mapping[str, Mapping[str, tuple[Tensor, Tensor]]],
    slopes: Mapping[str, Sequence[float]],
    fitted: tuple[float, float],
) -> str:
    """One panel a kind of function: amplitudes over |k|, and a line of each slope through the fitted range's start."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0 * len(panels), 3.6), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharex=True, sharey=True)[0]
    for ax, (title, curves) in zip(axes, panels.items(), strict=True):
        ax.axvspan(*fitted, color=MUTED, alpha=0.15, linewidth=0)
        for (label, (k, height)), slope, colour, marker in zip(
            curves.items(), slopes[title], COLOURS, MARKERS, strict=True
        ):
            ax.plot(k, height, marker, color=colour, markersize=1.6, alpha=0.6, label=label)
            far = k >= fitted[0]
            top = float((height[far] / k[far] ** slope).median())
            ends = k[far][[0, -1]]
            ax.plot(ends, top * ends**slope, color="black", linewidth=1.4)
            ax.annotate(f"$|k|^{{{slope:g}}}$", (float(ends[1]), float(top * ends[1] ** slope)), **_BESIDE)
        ax.set(xscale="log", yscale="log", title=title, xlabel="|k|, radians per unit of x")
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("|f̃(k)|")
    axes[0].legend(frameon=False, markerscale=3, loc="lower left")
    return svg(figure)


_BESIDE: Mapping[str, Any] = {"xytext": (4, -3), "textcoords": "offset points", "fontsize": 9}


def exponents(rows: Sequence[tuple[str, Estimate, float]]) -> str:
    """Measured exponents with intervals as dots, the theory's as diamonds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 0.42 * len(rows) + 1.0), layout="constrained")
    ax = figure.add_subplot()
    places = range(len(rows) - 1, -1, -1)
    for place, (_, estimate, _) in zip(places, rows, strict=True):
        ax.plot([estimate.low, estimate.high], [place, place], color=COLOURS[0], linewidth=1.6)
    ax.scatter([e for _, _, e in rows], places, marker="D", s=70, facecolor="none", color=COLOURS[1], label="theory")
    ax.scatter([m.value for _, m, _ in rows], places, color=COLOURS[0], s=22, zorder=3, label="measured")
    ax.set_yticks(places, [label for label, _, _ in rows])
    ax.set(xlabel="exponent of |k|", xlim=(-3.5, -0.5))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return svg(figure)
