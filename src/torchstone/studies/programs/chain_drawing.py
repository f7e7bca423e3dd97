"""The pictures of the claim about rings of bits, as inline SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchstone.lab import Estimate
from torchstone.pictures import svg
from torchstone.studies.programs.chain_solving import combinations, one_succeeds

STYLES = {"mix": ("#2b5c8a", "o", "-"), "relax": ("#c8553d", "D", "--"), "sample": ("#7a9e3a", "s", "-.")}
MUTED = "#6b6b6b"


@dataclass(frozen=True)
class Panel:
    """Shares of solved rings by length: of each kind of gradient, and of guessing."""

    title: str
    shares: Mapping[str, Sequence[Estimate]]
    guessing: Sequence[float]


def by_length(panels: Sequence[Panel], lengths: Sequence[int]) -> str:
    """One panel beside the other: a line for each kind of gradient, with intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.4, 3.3), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    places = range(len(lengths))
    for ax, panel in zip(axes, panels, strict=True):
        ax.plot(places, panel.guessing, color=MUTED, linestyle=":", linewidth=2, label="guessing")
        for shift, (name, estimates) in zip((-0.06, 0.0, 0.06), panel.shares.items(), strict=True):
            colour, marker, line = STYLES[name]
            at, values = [place + shift for place in places], [e.value for e in estimates]
            ax.plot(at, values, color=colour, marker=marker, linestyle=line, markersize=6, label=name)
            ax.vlines(at, [e.low for e in estimates], [e.high for e in estimates], color=colour, linewidth=1.3)
        ax.set(title=panel.title, xlabel="bits", ylim=(-0.03, 1.05))
        ax.set_xticks(places, list(map(str, lengths)))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("share of rings solved")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    return svg(figure)


def by_runs(chances: Mapping[int, Mapping[str, Estimate]], runs: int) -> str:
    """A panel for each length: what restarts of so many runs have solved by then, and what search has."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.4, 3.3), layout="constrained")
    axes = figure.subplots(1, len(chances), sharey=True, squeeze=False)[0]
    for ax, (bits, kinds) in zip(axes, chances.items(), strict=True):
        most = 2 * max(combinations(bits), 4 * runs)
        starts = range(1, most // runs + 1)
        at = [runs * n for n in starts]
        for name, chance in kinds.items():
            colour, _, line = STYLES[name]
            value, low, high = ([one_succeeds(p, n) for n in starts] for p in (chance.value, chance.low, chance.high))
            ax.step(at, value, color=colour, linestyle=line, where="post", label=name)
            ax.fill_between(at, low, high, step="post", color=colour, alpha=0.2, linewidth=0)
        tried = [2**i for i in range(most.bit_length())]
        ax.plot(tried, [min(1.0, n / combinations(bits)) for n in tried], color="black", linewidth=2, label="search")
        ax.set(title=f"{bits} bits", xlabel="runs of the program", xscale="log", ylim=(-0.03, 1.05))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("share of rings solved")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    return svg(figure)
