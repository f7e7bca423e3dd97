"""The pictures of the claims about frequencies, as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from torchstone.pictures import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, MUTED = "#2b5c8a", "#8a8f98"


def heat_maps(maps: Mapping[str, Tensor], frequencies: Sequence[int], every: int) -> str:
    """One map (steps upwards × frequencies) a title, side by side: the learned share, from 0 to 1."""
    figure, axes = panels(1, len(maps), width=3.6 * len(maps), height=4.2)
    for ax, (title, trace) in zip(axes, maps.items(), strict=True):
        extent = (-0.5, len(frequencies) - 0.5, 0, every * len(trace))
        image = ax.imshow(
            trace.numpy(),
            origin="lower",
            aspect="auto",
            cmap="viridis",
            vmin=0,
            vmax=1,
            extent=extent,
            interpolation="nearest",
        )
        ax.set_xticks(range(len(frequencies)), [f"{k:g}" for k in frequencies])
        ax.set(title=title, xlabel="frequency")
    axes[0].set_ylabel("training step")
    figure.colorbar(image, ax=axes, shrink=0.8, label="learned share of the amplitude")
    return svg(figure)


def dots(times: Mapping[str, Sequence[Tensor]], frequencies: Sequence[int], horizon: int) -> str:
    """One panel a title: the step at which each frequency was half learned, a dot a network; never in a band on top."""
    figure, axes = panels(1, len(times), width=3.6 * len(times), height=3.6)
    never = horizon * 1.35
    first = min((float(steps.min()) for networks in times.values() for steps in networks), default=1.0)
    bottom = 0.7 * min(first, horizon)  # one scale for all panels
    for ax, (title, networks) in zip(axes, times.items(), strict=True):
        ax.axhspan(horizon * 1.1, horizon * 1.7, color=MUTED, alpha=0.25, linewidth=0)
        for i, steps in enumerate(networks):
            shift = 0.5 * (i / max(1, len(networks) - 1) - 0.5)  # side by side, so that none hides another
            heights = [never if math.isinf(step) else step for step in steps.tolist()]
            places = [place + shift for place in range(len(heights))]
            ax.scatter(places, heights, s=12, color=BLUE, alpha=0.7, linewidth=0)
        ax.set_xticks(range(len(frequencies)), [f"{k:g}" for k in frequencies])
        ax.set(title=title, xlabel="frequency", yscale="log", ylim=(bottom, horizon * 1.7))
    axes[0].set_ylabel("steps to half")
    axes[-1].text(1.02, never, "never", va="center", transform=axes[-1].get_yaxis_transform())
    return svg(figure)


def by_frequency(
    maps: Mapping[str, Tensor], x: Tensor, frequencies: Sequence[int], *, xlabel: str, ylabel: str, log: bool = False
) -> str:
    """One panel a title, in it a line a frequency over ``x``, from dark (low) to bright (high)."""
    import matplotlib as mpl

    figure, axes = panels(1, len(maps), width=3.6 * len(maps), height=3.6)
    colours = mpl.colormaps["viridis"].resampled(len(frequencies) + 1)  # one more: the brightest is hard to see
    for ax, (title, lines) in zip(axes, maps.items(), strict=True):
        for i, k in enumerate(frequencies):
            ax.plot(x.numpy(), lines[:, i].numpy(), color=colours(i), linewidth=1.6, label=f"{k:g}")
        ax.axhline(1, color=MUTED, linestyle="--", linewidth=1)
        ax.set(title=title, xlabel=xlabel, ylim=(min(0.0, float(lines.min())), min(2.0, 1.08 * float(lines.max()))))
        if log:
            ax.set_xscale("log")
    axes[0].set_ylabel(ylabel)
    axes[-1].legend(title="frequency", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return svg(figure)


def panels(rows: int, columns: int, *, width: float, height: float) -> tuple[Any, Sequence["Axes"]]:
    """A figure with its axes, row by row, without the lines that frame nothing."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes
