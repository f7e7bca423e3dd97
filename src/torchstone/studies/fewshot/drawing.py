"""The pictures of the comparison of few-shot methods, as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from torchstone.lab.statistics import mean_interval
from torchstone.pictures import svg
from torchstone.studies.fewshot.outcomes import SHOTS, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOOKS: Mapping[str, tuple[str, str, str]] = {
    "embedding": ("#2b5c8a", "o", "-"),
    "protonet": ("#c8553d", "D", "--"),
    "maml": ("#5a8f4e", "s", ":"),
    "untrained": ("#8a8f98", "^", "-"),
    "pixels": ("#8a8f98", "v", "-"),
}
MUTED = "#8a8f98"


def accuracies(results: Results, *, chance: float) -> str:
    """A panel a data set and number of shots, a row an arm: a small mark a seed, the mean with its interval."""
    panels = [(pictures, shots) for pictures in results.pictures for shots in SHOTS]
    figure, axes = _axes(1, len(panels), width=2.7 * len(panels) + 1.2, height=2.6)
    arms = list(LOOKS)[::-1]
    for ax, (pictures, shots) in zip(axes, panels, strict=True):
        ax.axvline(chance, color="black", linestyle=":", linewidth=1)
        for place, arm in enumerate(arms):
            _row(ax, place, results.accuracies(arm, shots, pictures), *LOOKS[arm][:2])
        examples = "1 example" if shots == 1 else f"{shots} examples"
        ax.set(xlim=(0, 100), title=f"{pictures}, {examples}", xlabel="accuracy (%)")
        ax.set_yticks(range(len(arms)), arms if ax is axes[0] else [])
    return svg(figure)


def leads(rows: Mapping[str, Sequence[float]], *, threshold: float, zone: float, xlabel: str) -> str:
    """A row each: a small mark a seed, the mean with its interval; a line at the threshold, a band for none."""
    figure, (ax,) = _axes(1, 1, width=7.2, height=0.42 * len(rows) + 1.2)
    ax.axvspan(-zone, zone, color=MUTED, alpha=0.18, linewidth=0)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.axvline(threshold, color="black", linestyle="--", linewidth=1)
    for place, (name, values) in enumerate(reversed(list(rows.items()))):
        _row(ax, place, values, LOOKS["embedding"][0], "D" if "mean" in name else "o")
    ax.set_yticks(range(len(rows)), list(reversed(list(rows))))
    ax.set(xlabel=xlabel)
    return svg(figure)


def rates(results: Results, arms: Sequence[str]) -> str:
    """A panel a data set, a line an arm: validation accuracy by learning rate, the mean of the seeds that converged."""
    figure, axes = _axes(1, len(results.pictures), width=4.1 * len(results.pictures), height=3.4)
    for ax, pictures in zip(axes, results.pictures, strict=True):
        for arm in arms:
            curve = _by_rate(results, arm, pictures)
            colour, marker, dash = LOOKS[arm]
            ax.plot(list(curve), list(curve.values()), dash, marker=marker, color=colour, label=arm)
        ax.set(xscale="log", ylim=(0, 100), title=pictures, xlabel="highest learning rate")
    axes[0].set_ylabel("validation accuracy, 1 example (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(arms), frameon=False)
    return svg(figure)


def _by_rate(results: Results, arm: str, pictures: str) -> dict[float, float]:
    by_rate: dict[float, list[float]] = {}
    for (of, method, _), records in results.tried.items():
        for record in records if (of, method) == (pictures, arm) else ():
            by_rate.setdefault(record.trial.config["plan"]["rate"], []).append(record.metrics["validation"])
    finite = {rate: [value for value in by_rate[rate] if math.isfinite(value)] for rate in sorted(by_rate)}
    return {rate: float(np.mean(values)) for rate, values in finite.items() if values}


def _row(ax: "Axes", place: int, values: Sequence[float] | Float[np.ndarray, " k"], colour: str, marker: str) -> None:
    if not len(values):
        return
    mean = mean_interval(values)
    ax.scatter(values, [place + 0.22] * len(values), s=10, color=MUTED, linewidth=0)
    if math.isfinite(mean.low):
        ax.plot([mean.low, mean.high], [place, place], color=colour, linewidth=1.8)
    ax.scatter([mean.value], [place], s=36, marker=marker, color=colour, zorder=3)


def _axes(rows: int, columns: int, *, width: float, height: float) -> tuple[Any, list["Axes"]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return figure, axes
