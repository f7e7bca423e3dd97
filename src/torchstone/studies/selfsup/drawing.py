"""The pictures of the claims about learning without labels, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchstone.lab import Record
from torchstone.lab.statistics import mean_interval
from torchstone.pictures import svg
from torchstone.studies.selfsup.scores import Points, common_seeds, of_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, RIVAL, MUTED = "#2b5c8a", "#c8553d", "#8a8f98"
FEWEST = 3  # seeds for an interval: that of two leaves every panel
Rows = dict[str, Points]
"""A row a name: a value a seed."""
Lines = Mapping[str, Sequence[tuple[int, str]]]
"""A line a method: the arm at each number of pictures."""


def leads(panels: Mapping[str, Rows], *, threshold: float, xlabel: str) -> str:
    """A row a rival: a small mark a seed, the mean with its interval; a line at 0 and a dashed one at the threshold."""
    figure, axes = _ladder(panels, xlabel)
    for ax, rows in zip(axes, panels.values(), strict=True):
        ax.axvline(0, color="black", linewidth=0.9)
        ax.axvline(threshold, color=MUTED, linestyle="--", linewidth=1.3)
        for place, values in enumerate(reversed(rows.values())):
            middle = mean_interval(values)
            if len(values) >= FEWEST:
                ax.plot([middle.low, middle.high], [place, place], color=OURS, linewidth=2)
            ax.scatter([middle.value], [place], s=42, marker="D", color=OURS, zorder=3)
    return svg(figure)


def worth(panels: Mapping[str, Rows], *, ours: str, xlabel: str) -> str:
    """A row an arm: a small mark a seed, and their mean."""
    figure, axes = _ladder(panels, xlabel)
    for ax, rows in zip(axes, panels.values(), strict=True):
        for place, (name, values) in enumerate(reversed(rows.items())):
            marker, colour = ("D", OURS) if name == ours else ("o", RIVAL)
            ax.scatter([values.mean()], [place], s=42, marker=marker, color=colour, zorder=3)
    return svg(figure)


def by_budget(records: Sequence[Record], lines: Lines, panels: Mapping[str, str]) -> str:
    """A panel a metric, a line (or a point) a method over its pictures: the seeds that all have, and their means."""
    figure, axes = _axes(len(panels), width=4.3 * len(panels), height=4.1)
    seeds = common_seeds(records, *(arm for points in lines.values() for _, arm in points))
    for ax, (metric, title) in zip(axes, panels.items(), strict=True):
        for (name, points), colour, marker in zip(lines.items(), (OURS, RIVAL), "Do", strict=True):
            places, arms = zip(*points, strict=True)
            values = np.array([of_arm(records, arm, metric, seeds) for arm in arms])
            ax.plot(places, values, color=colour, alpha=0.35, linewidth=1, marker=marker, markersize=3)
            ax.plot(places, values.mean(1), color=colour, marker=marker, markersize=9, linewidth=2.2, label=name)
        ax.set(title=title, xlabel="pictures through the network", xscale="log")
        ticks = sorted({place for points in lines.values() for place, _ in points})
        ax.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        ax.set_xticks([], minor=True)
        ax.margins(x=0.2)
    axes[0].set_ylabel("test accuracy (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return svg(figure)


def _ladder(panels: Mapping[str, Rows], xlabel: str) -> tuple[Any, list["Axes"]]:
    """A panel a title, rows with their names from top to bottom, and a small mark a seed above each row."""
    most = max(len(rows) for rows in panels.values())
    figure, axes = _axes(len(panels), width=3.7 * len(panels) + 1.4, height=0.42 * most + 1.3)
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        for place, values in enumerate(reversed(rows.values())):
            ax.scatter(values, [place + 0.24] * len(values), s=11, color=MUTED, linewidth=0)
        ax.set(title=title, xlabel=xlabel, ylim=(-0.5, len(rows) - 0.3))
        ax.set_yticks(range(len(rows)), list(reversed(rows)) if ax is axes[0] else [""] * len(rows))
        ax.grid(axis="x", color=MUTED, alpha=0.25)
    return figure, axes


def _axes(panels: int, *, width: float, height: float) -> tuple[Any, list["Axes"]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False).flatten().tolist()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes
