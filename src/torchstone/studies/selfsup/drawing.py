"""The pictures of the claims about learning without labels, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchstone.lab import Record
from torchstone.pictures import svg
from torchstone.studies.selfsup.scores import common_seeds, mean, of_arm

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, RIVAL, MUTED = "#2b5c8a", "#c8553d", "#8a8f98"
Lines = Mapping[str, Sequence[tuple[float, str]]]
"""A line a method: the arm at each number of pictures."""


def ladders(records: Sequence[Record], arms: Sequence[str], panels: Mapping[str, str], *, ours: str) -> str:
    """A panel a metric, a row an arm: a small mark a seed, the mean with its interval."""
    figure, axes = _axes(len(panels), width=4.0 * len(panels) + 1.2, height=0.42 * len(arms) + 1.3)
    places = range(len(arms) - 1, -1, -1)
    for ax, (metric, title) in zip(axes, panels.items(), strict=True):
        for place, arm in zip(places, arms, strict=True):
            values, middle = of_arm(records, arm, metric), mean(records, arm, metric)
            colour = OURS if arm == ours else RIVAL
            ax.scatter(values, [place + 0.22] * len(values), s=11, color=MUTED, linewidth=0)
            if len(values) > 2:  # an interval of two seeds would leave the panel
                ax.plot([middle.low, middle.high], [place, place], color=colour, linewidth=2)
            ax.scatter([middle.value], [place], s=42, marker="D" if arm == ours else "o", color=colour, zorder=3)
        ax.set(title=title, xlabel="test accuracy (%)", ylim=(-0.6, len(arms) - 0.4))
        ax.set_yticks(places, arms if ax is axes[0] else [""] * len(arms))
        ax.grid(axis="x", color=MUTED, alpha=0.25)
    return svg(figure)


def by_budget(records: Sequence[Record], lines: Lines, panels: Mapping[str, str], *, level: str) -> str:
    """A panel a metric, a line a method over its pictures; a thin line a seed, and a level to compare with."""
    figure, axes = _axes(len(panels), width=4.3 * len(panels), height=3.9)
    for ax, (metric, title) in zip(axes, panels.items(), strict=True):
        for (name, points), colour, marker in zip(lines.items(), (OURS, RIVAL), "Do", strict=True):
            _line(ax, records, points, metric, name, colour, marker)
        ax.axhline(mean(records, level, metric).value, color=MUTED, linestyle="--", linewidth=1.3, label=level)
        ax.set(title=title, xlabel="pictures through the network", xscale="log")
    axes[0].set_ylabel("test accuracy (%)")
    axes[0].legend(frameon=False)
    return svg(figure)


def _line(
    ax: "Axes",
    records: Sequence[Record],
    points: Sequence[tuple[float, str]],
    metric: str,
    name: str,
    colour: str,
    marker: str,
) -> None:
    places = [place for place, _ in points]
    seeds = common_seeds(records, *(arm for _, arm in points))
    for seed in seeds:
        ax.plot(
            places, [of_arm(records, arm, metric, [seed])[0] for _, arm in points], color=colour, alpha=0.3, linewidth=1
        )
    means = [float(of_arm(records, arm, metric, seeds).mean()) for _, arm in points]
    ax.plot(places, means, color=colour, marker=marker, markersize=7, linewidth=2.2, label=name)


def _axes(panels: int, *, width: float, height: float) -> tuple[Any, list["Axes"]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False).flatten().tolist()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes
