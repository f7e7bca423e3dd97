"""The pictures of the claims about metric learning, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from torchstone.lab.statistics import mean_interval
from torchstone.pictures import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, MUTED = "#2b5c8a", "#c84a00", "#8a8f98"

Rows = Mapping[str, Sequence[float]]


def before_and_after(before: Rows, after: Rows, controls: Mapping[str, float]) -> str:
    """A row a loss: its seeds, means and intervals, untuned (open) and tuned (filled); a line a control."""
    figure, ax = _panel(0.62 * len(after) + 1.6)
    for place, loss in enumerate(reversed(list(after))):
        _values(ax, place + 0.1, after[loss], BLUE, filled=True)
        _values(ax, place - 0.2, before[loss], ORANGE, filled=False)
    for (name, value), dash in zip(controls.items(), ("--", ":"), strict=False):
        ax.axvline(value, color=MUTED, linestyle=dash, linewidth=1.2, label=name)
    ax.plot([], [], "o", color=BLUE, label="tuned")
    ax.plot([], [], "o", color=ORANGE, markerfacecolor="none", label="the library's setting")
    ax.set_yticks(range(len(after)), [said(loss) for loss in reversed(list(after))])
    ax.set(xlim=(0, None), xlabel="MAP@R on test classes (points)")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    return svg(figure)


def searches(scores: Rows) -> str:
    """A row a loss, a mark a setting."""
    figure, ax = _panel(0.4 * len(scores) + 1.2)
    for place, (_, values) in enumerate(reversed(list(scores.items()))):
        ax.scatter(values, [place] * len(values), s=26, color=BLUE, alpha=0.5, linewidth=0)
    ax.set_yticks(range(len(scores)), [said(loss) for loss in reversed(list(scores))])
    ax.set(xlim=(0, None), ylim=(-0.6, len(scores) - 0.4), xlabel="MAP@R on validation classes (points)")
    return svg(figure)


def said(loss: str) -> str:
    """The name of a loss for a reader."""
    return {"nt_xent": "NT-Xent", "arcface": "ArcFace", "cosface": "CosFace"}.get(loss, loss.replace("_", " "))


def _values(ax: "Axes", place: float, values: Sequence[float], colour: str, *, filled: bool) -> None:
    mean = mean_interval(values)
    ax.scatter(values, [place + 0.11] * len(values), s=12, color=MUTED, linewidth=0)
    ax.plot([mean.low, mean.high], [place, place], color=colour, linewidth=1.6)
    ax.scatter([mean.value], [place], s=44, edgecolor=colour, facecolor=colour if filled else "white", zorder=3)


def _panel(height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, height), layout="constrained")
    ax = figure.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax


def who_beats_whom(tables: Mapping[str, Float[np.ndarray, "losses losses k"]], losses: Sequence[str]) -> str:
    """A table each: the mean lead of the row over the column, with a star where its interval lies above 0."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.3 + 3.6 * len(tables), 4.6), layout="constrained")
    axes = figure.subplots(1, len(tables), squeeze=False, sharey=True).flatten().tolist()
    reach = max(float(np.abs(table.mean(2)).max()) for table in tables.values()) or 1.0
    for ax, (title, table) in zip(axes, tables.items(), strict=True):
        means = np.where(np.eye(len(losses)), np.nan, table.mean(2))
        image = ax.imshow(means, cmap="PuOr_r", vmin=-reach, vmax=reach)
        for row, column in zip(*np.nonzero(np.isfinite(means)), strict=True):
            _lead(ax, row, column, table[row, column], reach)
        ax.set_xticks(range(len(losses)), [said(loss) for loss in losses], rotation=40, ha="right")
        ax.set(title=title, xlabel="baseline")
    axes[0].set_yticks(range(len(losses)), [said(loss) for loss in losses])
    axes[0].set_ylabel("favourite")
    figure.colorbar(image, ax=axes, shrink=0.75, label="lead of the favourite (points)")
    return svg(figure)


def leads(rows: Rows, threshold: float) -> str:
    """A row a protocol: the mean lead of the favourite in each seed, and the mean over seeds with its interval."""
    figure, ax = _panel(0.45 * len(rows) + 1.2)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.axvline(threshold, color=MUTED, linestyle="--", linewidth=1.2)
    for place, (name, values) in enumerate(reversed(list(rows.items()))):
        _values(ax, place, values, BLUE if name == "fair" else ORANGE, filled=True)
    ax.set_yticks(range(len(rows)), list(reversed(list(rows))))
    ax.set(xlabel="lead of the favourite, mean over all pairs (points of MAP@R)")
    return svg(figure)


def _lead(ax: "Axes", row: int, column: int, values: Float[np.ndarray, " k"], reach: float) -> None:
    mean = mean_interval(values)
    star = "*" if mean.low > 0 else ""
    colour = "white" if abs(mean.value) > 0.6 * reach else "black"
    ax.text(column, row, f"{mean.value:+.1f}{star}", ha="center", va="center", fontsize=9, color=colour)
