"""The pictures of the claim about classifiers on frozen embeddings, as inline SVG."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from torchstone.lab.statistics import mean_interval
from torchstone.pictures import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS, MARKERS = ("#2b5c8a", "#c8553d", "#4c9f70", "#8064a2"), "osD^"
MUTED = "#8a8f98"
APART = 0.09  # between classifiers, so that their intervals don't hide each other

Tables = Mapping[str, Mapping[str, Float[np.ndarray, "seeds shots heads"]]]


def ladders(tables: Tables, arms: Sequence[str], heads: Mapping[str, str], shots: Sequence[int]) -> str:
    """A panel for each data set and number of shots: embeddings from left to right, a line a classifier."""
    return _panels(tables, arms, heads, shots, lines=True)


def normalisation(tables: Tables, rows: Sequence[str], heads: Mapping[str, str], shots: Sequence[int]) -> str:
    """A panel for each data set and number of shots: normalised and raw features, a mark a classifier."""
    return _panels(tables, rows, heads, shots, lines=False)


def spreads_and_effects(
    spreads: Float[np.ndarray, "seeds shots"],
    effects: Float[np.ndarray, "seeds shots"],
    shots: Sequence[int],
    *,
    most: float,
) -> str:
    """A panel for each number of shots, a mark a seed, a large one their mean; grey is a share of ``most`` or less."""
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(4.4 * len(shots), 3.2), layout="constrained")
    gains, apart = (np.nan_to_num(each) for each in (effects, spreads))  # NaN, of what diverged, is no limit of an axis
    end = 1.1 * max(1.0, float(gains.max()), float(apart.max()) / most)
    for ax, k, spread, gain in zip(figure.subplots(1, len(shots)), shots, spreads.T, effects.T, strict=True):
        ax.spines[["top", "right"]].set_visible(False)
        ax.fill_between([0, end], [0, most * end], color=MUTED, alpha=0.18, linewidth=0)
        ax.scatter(gain, spread, s=14, color=MUTED)
        ax.scatter([gain.mean()], [spread.mean()], s=60, color=COLOURS[0], zorder=3)
        ax.set(xlim=(min(0.0, 1.1 * float(gains.min())), end), ylim=(0, most * end), title=f"{k}-shot")
        ax.set(xlabel="effect of the embedding (points)", ylabel="spread of classifiers (points)")
    return svg(figure)


def _panels(tables: Tables, rows: Sequence[str], heads: Mapping[str, str], shots: Sequence[int], *, lines: bool) -> str:
    from matplotlib.figure import Figure

    figure: Any = Figure(figsize=(4.4 * len(shots), 3.0 * len(tables) + 0.5), layout="constrained")
    axes = figure.subplots(len(tables), len(shots), squeeze=False)
    for line, (name, table) in zip(axes, tables.items(), strict=True):
        for panel, (ax, k) in enumerate(zip(line, shots, strict=True)):
            ax.spines[["top", "right"]].set_visible(False)
            for place, words in enumerate(heads.values()):
                _marks(ax, place, words, [table[row][:, panel, place] for row in rows], lines=lines)
            ax.set(title=f"{name}, {k}-shot", ylabel="accuracy (%)", xlim=(-0.4, len(rows) - 0.6))
            ax.set_xticks(range(len(rows)), [_broken(row) for row in rows], fontsize=8)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(heads), frameon=False)
    return svg(figure)


def _marks(ax: "Axes", place: int, words: str, columns: Sequence[Any], *, lines: bool) -> None:
    means = [mean_interval(column) for column in columns]
    x = np.arange(len(means)) + APART * (place - 1.5)
    colour, marker = COLOURS[place], MARKERS[place]
    for at, mean in zip(x, means, strict=True):
        if np.isfinite([mean.low, mean.high]).all():
            ax.plot([at, at], [mean.low, mean.high], color=colour, linewidth=1.4)
    style, values = "-" if lines else "none", [mean.value for mean in means]
    ax.plot(x, values, linestyle=style, marker=marker, markersize=5, color=colour, linewidth=1, label=words)


def _broken(words: str) -> str:
    """Long words on two lines."""
    return words.replace(", ", ",\n").replace("a quarter ", "a quarter\n").replace("all base ", "all base\n")
