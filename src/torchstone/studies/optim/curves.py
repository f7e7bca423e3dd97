"""Curves of learning rules, as inline SVG: a colour, a marker and a name at the end of the line for each."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from torchstone.pictures import svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MUTED = "#8a8f98"
LOOKS: Mapping[str, tuple[str, str, str]] = {  # hues of Okabe and Ito (2008); a marker; a dash
    "sgd": ("#5d6470", "o", "-"),
    "momentum": ("#15171a", "s", "-"),
    "nesterov": ("#15171a", "D", "--"),
    "adam": ("#c84a00", "s", "-"),
    "nadam": ("#c84a00", "D", "--"),
    "rmsprop": ("#a2358f", "^", "-"),
    "rmsprop_momentum": ("#a2358f", "v", "--"),
    "adadelta": ("#7d6200", "P", "-"),
    "adadelta_long": ("#7d6200", "X", ":"),
    "amsgrad": ("#0063b1", "s", "-"),
    "published_amsgrad": ("#0063b1", "P", ":"),
    "adamnc": ("#0063b1", "D", "--"),
    "adagrad": ("#00795c", "^", "-"),
    "normalized": ("#d79a00", "*", "-"),
    "fine_normalized": ("#d79a00", "o", ":"),
    "usual_adam": ("#c84a00", "P", ":"),
}
CROSSES = {"amsgrad": "x", "adagrad": "+"}  # where every point has its marker: they show what lies beneath


class Line(NamedTuple):
    """A curve with its name and the rule that it is drawn for."""

    name: str
    x: Tensor
    y: Tensor
    rule: str


class Level(NamedTuple):
    """A horizontal line to compare with."""

    y: float
    name: str


def panels(
    groups: Mapping[str, Sequence[Line]],
    *,
    xlabel: str,
    ylabel: str,
    log: Sequence[str] = (),
    level: Level | None = None,
) -> str:
    """One panel a title, side by side on a common axis; ``log`` names the logarithmic axes among ``x`` and ``y``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6 * len(groups) + 1.9, 3.9), layout="constrained")
    axes = figure.subplots(1, len(groups), squeeze=False, sharey=True).flatten().tolist()
    for ax, (title, lines) in zip(axes, groups.items(), strict=True):
        _panel(ax, lines, log)
        ax.set(title=title, xlabel=xlabel)
        if level is not None:
            ax.axhline(level.y, color=MUTED, linestyle=":", linewidth=1.2, zorder=1, label=level.name)
    axes[0].set_ylabel(ylabel)
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside right center", frameon=False)
    return svg(figure)


def _panel(ax: "Axes", lines: Sequence[Line], log: Sequence[str]) -> Any:
    ax.spines[["top", "right"]].set_visible(False)
    for name in log:
        getattr(ax, f"set_{name}scale")("log")
    for place, (name, x, y, rule) in enumerate(lines):
        colour, marker, dash = LOOKS[rule]
        every: Any = 1
        if len(x) > 20:
            every = (place, len(x) // 6)  # markers of long lines that lie on one another stay apart
        else:
            marker = CROSSES.get(rule, marker)
        ax.plot(
            x.numpy(),
            y.numpy(),
            dash,
            color=colour,
            marker=marker,
            markevery=every,
            ms=5.5,
            mew=1.5,
            lw=1.5,
            label=name,
        )
