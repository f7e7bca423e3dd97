"""The pictures of the claims about layers, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from torchstone.lab import Estimate
from torchstone.pictures import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, PAPER, MUTED = "#2b5c8a", "#c8553d", "#8a8f98"


class Bar(NamedTuple):
    """A row of :func:`bars`: a label, what we measured, and the paper's number where it has one."""

    label: str
    measured: Estimate
    reported: float | None


def heat_maps(matrices: Mapping[str, Tensor], layers: Sequence[str]) -> str:
    """One heat map (layers × layers) a title, side by side, with a dot at the largest value of each row."""
    figure, axes = _axes(1, len(matrices), width=4.1 * len(matrices), height=4.3)
    for ax, (title, matrix) in zip(axes, matrices.items(), strict=True):
        image = ax.imshow(matrix.numpy(), origin="lower", cmap="magma", vmin=0, vmax=float(matrix.max()))
        ax.scatter(matrix.argmax(1).numpy(), range(len(matrix)), s=26, color="white", edgecolor="black", linewidth=0.8)
        ax.set_xticks(range(len(layers)), layers, rotation=90)
        ax.set_yticks(range(len(layers)), layers if ax is axes[0] else [])
        ax.set(title=title, xlabel="layer of another network")
        figure.colorbar(image, ax=ax, shrink=0.74)
    axes[0].set_ylabel("layer of one network")
    return svg(figure)


def bars(rows: Sequence[Bar], *, chance: float) -> str:
    """Horizontal bars with intervals, best first, the paper's numbers as diamonds, and a line for guessing."""
    figure, (ax,) = _axes(1, 1, width=8.2, height=0.36 * len(rows) + 1.2)
    places = range(len(rows) - 1, -1, -1)
    ax.barh(places, [row.measured.value for row in rows], color=OURS, height=0.62, label="this run")
    for place, row in zip(places, rows, strict=True):
        ax.plot([row.measured.low, row.measured.high], [place, place], color="black", linewidth=1.3)
    reported = [(row.reported, place) for place, row in zip(places, rows, strict=True) if row.reported is not None]
    if reported:
        values, at = zip(*reported, strict=True)
        ax.scatter(values, at, marker="D", s=34, color=PAPER, zorder=3, label="paper")
    ax.axvline(chance, color=MUTED, linestyle="--", linewidth=1, label="guessing")
    ax.set_yticks(places, [row.label for row in rows])
    ax.set(xlim=(0, 1.02), xlabel="share of layers found")
    ax.legend(loc="lower right", frameon=False)
    return svg(figure)


def curves(panels: Mapping[str, Mapping[float, Estimate]], *, chance: float) -> str:
    """One panel a setting: the estimate with its interval at each value of the setting."""
    figure, axes = _axes(1, len(panels), width=4.1 * len(panels), height=3.2)
    for ax, (name, points) in zip(axes, panels.items(), strict=True):
        settings, estimates = list(points), list(points.values())
        values = [estimate.value for estimate in estimates]
        ax.plot(range(len(settings)), values, marker="o", color=OURS)
        for place, estimate in enumerate(estimates):
            ax.plot([place, place], [estimate.low, estimate.high], color=OURS, linewidth=1.3)
        ax.axhline(chance, color=MUTED, linestyle="--", linewidth=1)
        ax.set_xticks(range(len(settings)), [f"{setting:g}" for setting in settings])
        ax.set(ylim=(0, 1.03), xlabel=name)
    axes[0].set_ylabel("share of layers found")
    return svg(figure)


def profiles(lines: Mapping[str, Sequence[float]], layers: Sequence[str], *, ylabel: str) -> str:
    """One line a group, a point a layer."""
    figure, (ax,) = _axes(1, 1, width=7.2, height=3.6)
    for (label, values), colour, marker in zip(lines.items(), (OURS, PAPER, MUTED), "oDs", strict=False):
        ax.plot(range(len(layers)), values, marker=marker, color=colour, label=label)
    ax.set_xticks(range(len(layers)), layers)
    ax.set(ylim=(0, 1.03), ylabel=ylabel)
    ax.legend(frameon=False)
    return svg(figure)


def bias_against_law(law: Sequence[float], biased: Sequence[float], debiased: Sequence[float]) -> str:
    """Measured CKA of independent data over the closed form: biased on the diagonal, debiased on zero."""
    figure, (ax,) = _axes(1, 1, width=5.2, height=4.2)
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
    ax.axhline(0, color=MUTED, linewidth=1)
    ax.scatter(law, biased, color=OURS, s=40, label="biased", zorder=3)
    ax.scatter(law, debiased, color=PAPER, marker="D", s=34, label="debiased", zorder=3)
    ax.set(xlim=(0, 1), ylim=(-0.05, 1), xlabel="closed form", ylabel="measured CKA of independent data")
    ax.legend(frameon=False)
    return svg(figure)


def _axes(rows: int, columns: int, *, width: float, height: float) -> tuple[Any, Sequence["Axes"]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes
