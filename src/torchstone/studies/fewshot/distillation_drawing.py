"""The picture of generations of networks, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from torchstone.lab.statistics import mean_interval
from torchstone.pictures import svg
from torchstone.studies.fewshot.distillation_tables import CONTROL, DISTILLED, GENERATIONS, LONGER, Network

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, OTHERS, MUTED = "#2b5c8a", "#c8553d", "#8a8f98"
PLACES = {
    **{(DISTILLED, generation): generation for generation in range(GENERATIONS + 1)},
    CONTROL: GENERATIONS + 1,
    LONGER: GENERATIONS + 2,
}
LABELS = [
    *(f"generation\n{generation}" for generation in range(GENERATIONS + 1)),
    "no teacher",
    "no teacher,\n3 × steps",
]


def generations_beside(
    curves: Mapping[str, Mapping[int, Mapping[Network, Sequence[float]]]], shots: Sequence[int]
) -> str:
    """A panel for each data set and number of shots: generations as lines, networks without a teacher beside them."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(4.4 * len(shots), 2.9 * len(curves) + 0.3), layout="constrained")
    axes = figure.subplots(len(curves), len(shots), squeeze=False)
    for row, (name, by_shots) in zip(axes, curves.items(), strict=True):
        for ax, k in zip(row, shots, strict=True):
            ax.spines[["top", "right"]].set_visible(False)
            _panel(ax, by_shots[k])
            ax.set(title=f"{name}, {k}-shot", ylabel="accuracy (%)", xlim=(-0.4, len(LABELS) - 0.6))
            ax.set_xticks(range(len(LABELS)), LABELS, fontsize=8)
    return svg(figure)


def _panel(ax: "Axes", networks: Mapping[Network, Sequence[float]]) -> None:
    students = [
        networks[DISTILLED, generation] for generation in range(GENERATIONS + 1) if (DISTILLED, generation) in networks
    ]
    ax.plot(np.array(students), color=MUTED, linewidth=0.7, alpha=0.7)
    for network, values in networks.items():
        place, mean = PLACES[network], mean_interval(values)
        colour, marker = (OURS, "o") if network[0] == DISTILLED else (OTHERS, "s")
        ax.scatter([place + 0.12] * len(values), values, s=9, color=MUTED, linewidth=0)
        if np.isfinite([mean.low, mean.high]).all():
            ax.plot([place, place], [mean.low, mean.high], color=colour, linewidth=1.8)
        ax.scatter([place], [mean.value], s=36, marker=marker, color=colour, zorder=3)
    ax.plot([float(np.mean(values)) for values in students], color=OURS, linewidth=1.8)
