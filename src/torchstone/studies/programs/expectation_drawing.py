"""The pictures of the claims about expectations, as inline SVG."""

from collections.abc import Mapping

from torch import Tensor

from torchstone.lab import Estimate
from torchstone.pictures import svg

PATH, SCORE, MUTED = "#2b5c8a", "#c8553d", "#6b6b6b"


def pairs_of_bars(panels: Mapping[str, Mapping[str, tuple[Estimate, Estimate]]]) -> str:
    """One panel a measure: for each problem a bar for the path and one for the score, with intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.4, 3.4), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (title, rows) in zip(axes, panels.items(), strict=True):
        for shift, which, colour, name in ((0.19, 0, PATH, "pathwise"), (-0.19, 1, SCORE, "score function")):
            places = [len(rows) - 1 - row + shift for row in range(len(rows))]
            estimates = [pair[which] for pair in rows.values()]
            hatch = "" if which == 0 else "///"
            values = [estimate.value for estimate in estimates]
            ax.barh(places, values, 0.36, color=colour, hatch=hatch, edgecolor="white", linewidth=0, label=name)
            for place, estimate in zip(places, estimates, strict=True):
                ax.plot([estimate.low, estimate.high], [place, place], color="black", linewidth=1.3)
        ax.set_yticks(range(len(rows) - 1, -1, -1), list(rows))
        ax.set_xlabel(title)
        ax.spines[["top", "right"]].set_visible(False)
    axes[-1].legend(frameon=False, loc="upper right")
    return svg(figure)


def learning_curves(curves: Mapping[str, Tensor], steps: int, goal: float) -> str:
    """A thin line a seed and a thick one for their mean; a dotted one at the goal; steps on a logarithmic axis."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    ax = figure.subplots()
    for (name, lines), colour, marker in zip(curves.items(), (PATH, SCORE, MUTED), "oDs", strict=True):
        at = [steps * look / max(1, lines.shape[1] - 1) for look in range(lines.shape[1])][1:]
        for line in lines[:, 1:]:
            ax.plot(at, line.tolist(), color=colour, linewidth=0.6, alpha=0.6)
        ax.plot(at, lines[:, 1:].mean(0).tolist(), color=colour, marker=marker, markersize=4, linewidth=2, label=name)
    ax.axhline(goal, color="black", linestyle=":", linewidth=1.2)
    ax.set(xscale="log", xlabel="steps", ylabel="bound (nats)")
    ticks = [at[0] * 2**k for k in range(len(at)) if at[0] * 2**k <= steps]
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    return svg(figure)
