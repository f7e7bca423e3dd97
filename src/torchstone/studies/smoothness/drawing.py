"""The pictures of the claim about cuts, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchstone.lab import Estimate
from torchstone.pictures import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, RIVAL, MUTED = "#2b5c8a", "#c8553d", "#8a8f98"


def findings(rows: Mapping[str, tuple[Estimate, float]], *, threshold: float) -> str:
    """A row for each kind: the share found with its interval, and the share on which ``backward`` raises."""
    figure, ax = _rows(list(rows))
    for place, (estimate, raised) in zip(range(len(rows) - 1, -1, -1), rows.values(), strict=True):
        ax.plot([raised, estimate.value], [place, place], color=MUTED, linewidth=1, zorder=1)
        ax.plot([estimate.low, estimate.high], [place, place], color=OURS, linewidth=4, alpha=0.4, zorder=2)
        ax.scatter(estimate.value, place, color=OURS, s=42, zorder=3, label="found by the check" * (place == 0))
        ax.scatter(raised, place, color=RIVAL, marker="D", s=36, zorder=3, label="backward() raises" * (place == 0))
    ax.axvline(threshold, color=MUTED, linestyle="--", linewidth=1)
    ax.set(xlim=(-0.03, 1.03), xlabel="share of mutants")
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return svg(figure)


def silence(rows: Mapping[str, Estimate], *, threshold: float) -> str:
    """A row for each harmless change: the share of programs without an alarm, with its interval."""
    figure, ax = _rows(list(rows))
    for place, estimate in zip(range(len(rows) - 1, -1, -1), rows.values(), strict=True):
        ax.plot([estimate.low, estimate.high], [place, place], color=OURS, linewidth=4, alpha=0.4)
        ax.scatter(estimate.value, place, color=OURS, s=42, zorder=3)
    ax.axvline(threshold, color=MUTED, linestyle="--", linewidth=1)
    ax.set(xlim=(min([0.85, *(estimate.low - 0.02 for estimate in rows.values())]), 1.005))
    ax.set_xlabel("share of sound programs without an alarm")
    return svg(figure)


def _rows(labels: Sequence[str]) -> tuple[Any, "Axes"]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 0.36 * len(labels) + 1.2), layout="constrained")
    ax = figure.subplots()
    ax.set_yticks(range(len(labels) - 1, -1, -1), labels)
    ax.spines[["top", "right"]].set_visible(False)
    return figure, ax
