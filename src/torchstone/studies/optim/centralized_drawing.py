"""The pictures of the claim about centred gradients, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchstone.lab.statistics import mean_interval
from torchstone.pictures import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLAIN, CENTRED, MUTED = "#c8553d", "#2b5c8a", "#8a8f98"


def gains_by_setting(labels: Sequence[str], gains: Sequence[Sequence[float]], *, threshold: float) -> str:
    """A row a setting: a mark a pair, and the mean with its interval; the mean of all settings below them."""
    everywhere = [sum(column) / len(column) for column in zip(*gains, strict=True)]
    rows = [*zip(labels, gains, strict=True), ("mean of all settings", everywhere)]
    figure, ax = _axes(len(rows))
    for place, (_, values) in enumerate(reversed(rows)):
        mean = mean_interval(values)
        ax.scatter(values, [place + 0.18] * len(values), s=12, color=MUTED, alpha=0.7, linewidth=0)
        ax.plot([mean.low, mean.high], [place, place], color=CENTRED, linewidth=1.8)
        ax.scatter([mean.value], [place], s=44, marker="D" if place == 0 else "o", color=CENTRED, zorder=3)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.axvline(threshold, color=MUTED, linestyle="--", linewidth=1.2)
    ax.set_yticks(range(len(rows)), [label for label, _ in reversed(rows)])
    widest = max(abs(value) for _, values in rows for value in values)
    ax.set(xlim=(-1.1 * widest - 0.1, 1.1 * widest + 0.1), xlabel="gain in test accuracy (points)")
    return svg(figure)


def drifts(labels: Sequence[str], moved: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """A row a setting: a mark a network, on a logarithmic axis."""
    figure, ax = _axes(len(labels) + 1)
    for (arm, rows), colour, marker in zip(moved.items(), (PLAIN, CENTRED), "so", strict=True):
        for place, values in enumerate(reversed(rows)):
            label = arm if place == 0 else None
            ax.scatter(values, [place] * len(values), s=20, marker=marker, color=colour, alpha=0.7, label=label)
    ax.set_yticks(range(len(labels)), list(reversed(labels)))
    ax.set(xscale="log", xlabel="farthest move of a mean (initial weights = 1)", ylim=(-0.6, len(labels)))
    ax.legend(loc="upper center", ncols=2, frameon=False)
    return svg(figure)


def _axes(rows: int) -> tuple[Any, "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 0.42 * rows + 1.1), layout="constrained")
    ax = figure.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax
