"""The pictures of the claims about tuned learning rules, as inline SVG."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from torchstone.lab import Record
from torchstone.lab.statistics import mean_interval
from torchstone.pictures import svg
from torchstone.studies.optim.curves import LOOKS, MUTED
from torchstone.studies.optim.tuned_training import Table, place_of_rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS = "#2b5c8a"


def differences(rows: Mapping[str, Sequence[float]], *, threshold: float, zone: float, xlabel: str) -> str:
    """A row each: a small mark a seed, the mean with its interval; a line at the threshold, a band for no difference.

    Rows whose names hold "mean" have a diamond.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.8, 0.4 * len(rows) + 1.2), layout="constrained")
    ax = figure.subplots()
    ax.spines[["top", "right"]].set_visible(False)
    ax.axvspan(-zone, zone, color=MUTED, alpha=0.18, linewidth=0)
    ax.axvline(0, color="black", linewidth=0.8)
    ax.axvline(threshold, color=MUTED, linestyle="--", linewidth=1.2)
    reach = [threshold]
    for place, (name, values) in enumerate(reversed(list(rows.items()))):
        mean = mean_interval(values)
        marker = "D" if "mean" in name else "o"
        ax.scatter(values, [place + 0.2] * len(values), s=12, color=MUTED, linewidth=0)
        ax.plot([mean.low, mean.high], [place, place], color=OURS, linewidth=1.8)
        ax.scatter([mean.value], [place], s=40, marker=marker, color=OURS, zorder=3)
        reach += [abs(end) for end in (*values, mean.low, mean.high) if math.isfinite(end)]
    ax.set_yticks(range(len(rows)), list(reversed(list(rows))))
    ax.set(xlim=(-1.05 * max(reach), 1.05 * max(reach)), xlabel=xlabel)
    return svg(figure)


def training_curves(table: Table) -> str:
    """A panel a task, a line an arm: the mean over seeds of the training loss, of those that did not diverge."""
    from matplotlib.figure import Figure

    rows = math.ceil(len(table) / 2)
    figure = Figure(figsize=(8.6, 2.9 * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, min(2, len(table)), squeeze=False).flatten().tolist()
    for ax, (task, by_arm) in zip(axes, table.items(), strict=False):
        ax.spines[["top", "right"]].set_visible(False)
        for place, (arm, records) in enumerate(by_arm.items()):
            _curve(ax, place, arm, records)
        ax.set(title=task, xlabel="step", ylabel="training loss", yscale="log")
    for ax in axes[len(table) :]:
        ax.remove()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    return svg(figure)


def _curve(ax: "Axes", place: int, arm: str, records: Sequence[Record]) -> None:
    curves = [record.artifacts["loss"].double() for record in records if not record.diverged]
    if curves:
        loss = torch.stack(curves).mean(0)
        steps = records[0].trial.config["search"]["steps"] * (torch.arange(len(loss)) + 0.5) / len(loss)
        colour, marker, dash = LOOKS[arm]
        every = (2 * place, max(1, len(loss) // 6))  # markers of lines that lie on one another stay apart
        (line,) = ax.plot(steps.numpy(), loss.numpy(), dash, color=colour, linewidth=1.4, label=arm.replace("_", " "))
        line.set(marker=marker, markersize=5, markevery=every)


def best_rates(table: Table) -> str:
    """A row an arm and task, on a logarithmic axis of its own range: a mark a search."""
    from matplotlib.figure import Figure

    arms = list(next(iter(table.values())))
    figure = Figure(figsize=(2.1 * len(table) + 2.2, 0.34 * len(arms) + 1.3), layout="constrained")
    axes = figure.subplots(1, len(table), squeeze=False, sharey=True).flatten().tolist()
    for ax, (task, by_arm) in zip(axes, table.items(), strict=True):
        for place, (arm, records) in enumerate(by_arm.items()):
            colour, marker, _ = LOOKS[arm]
            found = [place_of_rate(record) for record in records if not record.diverged]
            ax.scatter(found, [place] * len(found), s=26, color=colour, marker=marker, alpha=0.75, linewidth=0)
        ax.set(xlim=(0, 1), ylim=(len(arms) - 0.5, -0.5), title=task.replace(", ", "\n"))
        ax.set_xticks([0, 1], ["lowest", "highest"])
    axes[0].set_yticks(range(len(arms)), [arm.replace("_", " ") for arm in arms])
    figure.supxlabel("place of the best step size in its range (logarithmic)", fontsize=10)
    return svg(figure)
