"""The pictures of the claim about counting, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from torchstone.lab import Record
from torchstone.pictures import svg
from torchstone.studies.programs.counting_networks import (
    BRACKETS,
    DEEP,
    DEEPER,
    FAR,
    LANGUAGES,
    LONGEST,
    LSTM,
    PLAIN,
    STACK,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TOGETHER = {BRACKETS: 4, LANGUAGES[-1]: 4}  # sizes that share a point, where each has few strings or another m
LOOKS = {STACK: ("#0072b2", "-", "o"), LSTM: ("#d55e00", "--", "s"), PLAIN: ("#6b6b6b", ":", "^")}


def by_length(found: Mapping[str, Mapping[str, Sequence[Record]]]) -> str:
    """One panel a task: for each network the share that is right at each size, and a line where training ended."""
    figure, axes = _panels(len(found), height=2.5)
    for ax, (task, arms) in zip(axes, found.items(), strict=True):
        trained, far, what = (DEEP, DEEPER, "brackets") if task == BRACKETS else (LONGEST, FAR, "n")
        for arm, records in arms.items():
            colour, line, _ = LOOKS[arm]
            sizes, right = right_by_size([r for r in records if not r.diverged], step=TOGETHER.get(task, 1))
            ax.plot(sizes, right, line, color=colour, linewidth=1.8, label=arm)
        ax.axvline(trained + 0.5, color="black", linestyle="--", linewidth=0.8)
        ax.set(title=task, xlabel=what, xlim=(0, far + 1), ylim=(-0.04, 1.06))
    axes[0].set_ylabel("share right")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=len(LOOKS), frameon=False)
    return svg(figure)


def seed_by_seed(found: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """One panel a task: a dot a seed, and a bar at their mean, for each network."""
    figure, axes = _panels(len(found), height=2.3)
    for ax, (task, shares) in zip(axes, found.items(), strict=True):
        for place, (arm, values) in enumerate(shares.items()):
            colour, _, marker = LOOKS[arm]
            at = [place + 0.5 * ((k + 0.5) / len(values) - 0.5) for k in range(len(values))]
            ax.scatter(at, values, s=20, marker=marker, color=colour, alpha=0.8, linewidth=0, clip_on=False)
            ax.plot([place - 0.35, place + 0.35], [sum(values) / len(values)] * 2, color=colour, linewidth=2.5)
        ax.set_xticks(range(len(shares)), list(shares))
        ax.set(title=task, ylim=(-0.04, 1.06))
    axes[0].set_ylabel("share of longer strings right")
    return svg(figure)


def right_by_size(records: Sequence[Record], *, step: int) -> tuple[list[float], list[float]]:
    """Sizes, ``step`` of them taken together, and the share of strings that are right over all records."""
    totals: dict[int, list[Tensor]] = {}
    for record in records:
        for size, right in zip(record.artifacts["sizes"].tolist(), record.artifacts["right"], strict=True):
            totals.setdefault((size - 1) // step, []).append(right)
    bins = sorted(totals)
    return [step * b + (step + 1) / 2 for b in bins], [float(sum(totals[b]) / len(totals[b])) for b in bins]


def _panels(count: int, height: float) -> "tuple[Figure, list[Axes]]":
    """Panels side by side, three in a row."""
    from matplotlib.figure import Figure

    rows, columns = -(-count // 3), min(count, 3)
    figure = Figure(figsize=(3.1 * columns, height * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes[count:]:
        figure.delaxes(ax)
    return figure, list(axes[:count])
