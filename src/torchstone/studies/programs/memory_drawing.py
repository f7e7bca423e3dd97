"""The pictures of the claim about memories, as inline SVG."""

from collections.abc import Sequence

from torchstone.lab import Figure, Record
from torchstone.pictures import svg
from torchstone.programs.memory import Trace
from torchstone.studies.programs.transducers import HARD, SOFT, TIMES, Course, metric

COLOURS = {SOFT: "#0072b2", HARD: "#d55e00"}
MARKERS = {SOFT: "o", HARD: "D"}
NAMES = {SOFT: "as trained", HARD: "whole actions"}


def dots(records: Sequence[Record], arms: Sequence[str], right: float) -> str:
    """A panel a length and a row an arm: the share of sequences that each network gets right."""
    from matplotlib.figure import Figure as Canvas

    canvas = Canvas(figsize=(10, 0.42 * len(arms) + 1.4), layout="constrained")
    panels = canvas.subplots(1, len(TIMES), sharey=True)
    for ax, times in zip(panels, TIMES, strict=True):
        for how, shift in ((SOFT, 0.17), (HARD, -0.17)):
            points = [
                (record.metrics[metric(how, times)], len(arms) - 1 - arms.index(record.trial.arm) + shift)
                for record in records
                if metric(how, times) in record.metrics
            ]
            x, y = [share for share, _ in points], [row for _, row in points]
            ax.scatter(x, y, s=26, marker=MARKERS[how], color=COLOURS[how], alpha=0.6, linewidth=0, label=NAMES[how])
        ax.axvline(right, color="0.4", linestyle="--", linewidth=1)
        ax.set(
            xlim=(-0.04, 1.04),
            xticks=(0, 0.5, 1),
            xlabel=f"right at {times}× the length" if times > 1 else "right at trained lengths",
        )
        ax.grid(axis="y", color="0.9")
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(arms) - 1, -1, -1), arms)
    canvas.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False)
    return svg(canvas)


def traces(records: Sequence[Record], arms: Sequence[str]) -> list[Figure]:
    """What the memory of the first seed did, arm by arm."""
    first = min(record.trial.seed for record in records)
    return [
        Figure(
            f"{record.trial.arm}: what the memory did",
            "A fresh sequence, as long as the longest of training, from left to right. A bar is a value: it begins "
            "where it was pushed and ends where it was popped, the darker the more of it is there. Below, pushes go up "
            "and pops go down.",
            drawn(record),
        )
        for arm in arms
        for record in records
        if record.trial.arm == arm and record.trial.seed == first and not record.diverged
    ]


def drawn(record: Record) -> str:
    """The trace of a record."""
    config, kept = record.trial.config, record.artifacts
    task = Course(**config["course"]).task(config["task"], 1, 1, 0)
    return Trace(kept["push"], kept["pop"], kept["strengths"]).svg(task.spell(kept["words"]))
