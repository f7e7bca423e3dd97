"""The pictures of the claims about data: where signals lie, what label noise looks like, errors over time."""

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor

from torchstone.pictures import svg
from torchstone.studies.spectral.drawing import BLUE, MUTED, panels

LINES = (
    ("#2b5c8a", "-"),
    ("#e0a030", "--"),
    ("#c8553d", "-."),
    ("#1a1a1a", ":"),
    ("#8a8f98", "-"),
    ("#7a5195", "--"),
)


def signals_on_curves(places: Mapping[str, Mapping[str, Tensor]]) -> str:
    """One panel a title: the points ``x`` of the plane in the colour of the signal ``y``."""
    figure, axes = panels(1, len(places), width=2.6 * len(places), height=3.0)
    for ax, (title, signal) in zip(axes, places.items(), strict=True):
        x, y = signal["x"].numpy(), signal["y"].numpy()
        most = float(abs(y).max())
        dots = ax.scatter(
            x[:, 0], x[:, 1], c=y, cmap="PuOr", vmin=-most, vmax=most, s=16, edgecolor=MUTED, linewidth=0.3
        )
        ax.set(title=title, aspect="equal", xticks=[], yticks=[], xlim=(-1.7, 1.7), ylim=(-1.7, 1.7))
        ax.spines[["left", "bottom"]].set_visible(False)
    figure.colorbar(dots, ax=axes, shrink=0.7, label="signal")
    return svg(figure)


def error_curves(
    curves: Mapping[str, Mapping[str, Float[Tensor, " t"]]], steps: int, *, ylabel: str = "mean squared error"
) -> str:
    """One panel a title, in it a line a name (drawn alike in all), on logarithmic axes upwards."""
    names = dict.fromkeys(name for lines in curves.values() for name in lines)
    looks = dict(zip(names, LINES, strict=False))
    figure, axes = panels(1, len(curves), width=4.2 * len(curves), height=3.6)
    for ax, (title, lines) in zip(axes, curves.items(), strict=True):
        for name, line in lines.items():
            colour, style = looks[name]
            x = [steps * (i + 1) / len(line) for i in range(len(line))]
            ax.plot(x, line.numpy(), color=colour, linestyle=style, linewidth=1.8, label=name)
        ax.set(title=title, xlabel="training step", yscale="log")
        ax.legend(frameon=False, fontsize=8)
    axes[0].set_ylabel(ylabel)
    return svg(figure)


def noises(noise: Mapping[str, tuple[Tensor, Tensor]]) -> str:
    """One panel a title: the label noise of each example by the length of its input."""
    figure, axes = panels(1, len(noise), width=3.2 * len(noise), height=3.0)
    for ax in axes[1:]:
        ax.sharey(axes[0])  # that they are of one size shows on one scale only
    for ax, (title, (lengths, values)) in zip(axes, noise.items(), strict=True):
        ax.scatter(lengths.numpy(), values.numpy(), s=6, color=BLUE, alpha=0.5, linewidth=0)
        ax.axhline(0, color=MUTED, linewidth=1)
        ax.set(title=title, xlabel="length of the input ‖x‖")
    axes[0].set_ylabel("label noise")
    return svg(figure)


def shares(lines: Mapping[str, Float[Tensor, " m"]]) -> str:
    """The share of each noise that lies in the first eigenvectors, by how many of these.

    Drawn as the noises are in :func:`error_curves`, after a first line without noise.
    """
    figure, (ax,) = panels(1, 1, width=5.6, height=3.6)
    for (colour, style), (name, line) in zip(LINES[1:], lines.items(), strict=False):
        ax.plot(range(1, len(line) + 1), line.numpy(), color=colour, linestyle=style, linewidth=1.8, label=name)
    ax.set(
        xlabel="eigenvectors of the kernel, smoothest first", ylabel="share of the noise", ylim=(0, 1.03), xscale="log"
    )
    ax.legend(frameon=False, fontsize=8)
    return svg(figure)
