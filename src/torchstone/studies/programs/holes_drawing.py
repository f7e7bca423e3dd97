"""The pictures of the claim about holes, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torchstone.lab import Estimate
from torchstone.pictures import svg
from torchstone.studies.programs.hole_tables import Curves
from torchstone.studies.programs.known_programs import CUBIC, LARGE, PARTS, WRONG

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HOLE, BLACK, MUTED = "#2b5c8a", "#c8553d", "#6b6b6b"
STYLES = (("o-", HOLE), ("s-", BLACK), ("D:", "#7a9e3f"), ("v:", "#8b6bb1"))
MARKS = {LARGE: ("^", 1.18), CUBIC: ("P", 1.39), PARTS: ("x", 1.64), WRONG: ("*", 1.94)}


def errors(panels: Mapping[str, Mapping[str, Mapping[int, Estimate]]]) -> str:
    """One panel a program: for each arm a line of log₁₀ errors over the number of examples, or a mark if it has one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.4, 4.2), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (title, arms) in zip(axes, panels.items(), strict=True):
        lines = {arm: points for arm, points in arms.items() if len(points) > 1}
        marks = {arm: points for arm, points in arms.items() if len(points) == 1}
        for (arm, points), (style, colour) in zip(lines.items(), STYLES, strict=False):
            line(ax, points, style, colour, arm)
        for arm, points in marks.items():
            mark, aside = MARKS[arm]
            line(ax, points, mark, MUTED, arm, aside)
        ax.set(title=title, xscale="log", yscale="log", ylim=(3e-9, 5), xlabel="examples of the whole program")
        ticks = list(next(iter(lines.values())))
        ax.set_xticks(ticks, [str(n) for n in ticks])
        ax.minorticks_off()
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("error / standard deviation")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False)
    return svg(figure)


def line(ax: "Axes", points: Mapping[int, Estimate], style: str, colour: str, label: str, aside: float = 1.0) -> None:
    """Estimates with their intervals, from logarithms; ``aside`` moves them to the right."""
    values = [10**estimate.value for estimate in points.values()]
    ax.plot([aside * n for n in points], values, style, color=colour, markersize=6, linewidth=1.8, label=label)
    for n, estimate in points.items():
        ax.plot([aside * n] * 2, [10**estimate.low, 10**estimate.high], color=colour, linewidth=1.2)


def holes(panels: Sequence[Curves]) -> str:
    """One panel a hole: the truth, the curves of the networks, and the range of the examples shaded."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 * len(panels), 3.8), layout="constrained")
    for ax, hole in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        ax.axvspan(*hole.range.tolist(), color="#d7dee6", linewidth=0, label="seen in training")
        for place, curve in enumerate(hole.found.tolist()):
            ax.plot(hole.x.tolist(), curve, color=HOLE, linewidth=0.9, alpha=0.7, label="" if place else "network")
        ax.plot(hole.x.tolist(), hole.truth.tolist(), "--", color="black", linewidth=1.8, label="truth")
        low, high = hole.truth.min().item(), hole.truth.max().item()
        ax.set(title=hole.name, xlabel="its argument", ylim=(low - 0.2 * (high - low), high + 0.2 * (high - low)))
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(framealpha=1)
    return svg(figure)
