"""Heat maps of layer similarity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

WRITTEN = 12  # up to so many layers a side, the numbers stand in the cells
LONGEST_NAME = 36


def heat_map(
    matrix: Float[Tensor, "l_a l_b"],
    layers_a: Sequence[str],
    layers_b: Sequence[str],
    *,
    labels: tuple[str, str] = ("model A", "model B"),
    metric: str = "cka",
) -> "Figure":
    """Draw a similarity matrix: rows are model A from the bottom up, columns model B, light is alike, grey undefined.

    Args:
        matrix: the similarities.
        layers_a: names of the rows.
        layers_b: names of the columns.
        labels: what the vertical and the horizontal axis are called.
        metric: what the colour bar is called; CKA and its kin, which reach from 0 to 1, are coloured on that range.

    Returns:
        A ``matplotlib.figure.Figure``; it belongs to no window.

    Example:
        >>> import torch
        >>> heat_map(torch.eye(2), ["conv1", "conv2"], ["conv1", "conv2"]).axes[0].get_xlabel()
        'model B'
    """
    from matplotlib.figure import Figure

    rows, columns = matrix.shape
    cell = 0.42 if max(rows, columns) <= WRITTEN else 0.19
    figure = Figure(figsize=(max(3.4, cell * columns + 2.2), max(2.9, cell * rows + 1.6)), layout="constrained")
    axes = figure.add_subplot()
    low, high = _range(matrix, metric)
    image = axes.imshow(matrix.cpu().numpy(), origin="lower", cmap=_magma(), vmin=low, vmax=high)
    _name(axes, layers_a, layers_b, size=7.5 if cell > 0.4 else 6.0)
    axes.set_ylabel(labels[0])
    axes.set_xlabel(labels[1])
    figure.colorbar(image, ax=axes, label=metric, shrink=0.8, fraction=0.05)
    if max(rows, columns) <= WRITTEN:
        _write(axes, matrix, low, high, style=".2g" if metric.startswith("hsic") else "z.2f")
    return figure


def _range(matrix: Tensor, metric: str) -> tuple[float, float]:
    """From 0 to 1 for a normalised index; from 0 to the largest value for HSIC."""
    if not metric.startswith("hsic"):
        return 0.0, 1.0
    return 0.0, max(float(matrix.nan_to_num(nan=0.0).max()), 0.0) or 1.0


def _magma() -> "Colormap":
    import matplotlib

    return matplotlib.colormaps["magma"].with_extremes(bad="0.75")


def _name(axes: "Axes", layers_a: Sequence[str], layers_b: Sequence[str], size: float) -> None:
    below = _short(layers_b)
    axes.set_yticks(range(len(layers_a)), _short(layers_a), fontsize=size)
    axes.set_xticks(range(len(layers_b)), below, fontsize=size)
    axes.tick_params(axis="x", rotation=90 if max(map(len, below)) > 3 else 0)
    axes.tick_params(length=2)


def _short(names: Sequence[str]) -> list[str]:
    """Names without the modules that all of them begin with, and of what is still long the end."""
    parts = [name.split(".") for name in names]
    shared = 0
    while len(names) > 1 and len({tuple(part[: shared + 1]) for part in parts}) == 1 < min(map(len, parts)) - shared:
        shared += 1
    rest = [".".join(part[shared:]) for part in parts]
    return [f"…{name[1 - LONGEST_NAME :]}" if len(name) > LONGEST_NAME else name for name in rest]


def _write(axes: "Axes", matrix: Tensor, low: float, high: float, style: str) -> None:
    for row, values in enumerate(matrix.tolist()):
        for column, value in enumerate(values):
            dark = value == value and (value - low) / (high - low) < 0.6
            text = "–" if value != value else f"{value:{style}}"
            axes.text(column, row, text, ha="center", va="center", fontsize=6.5, color="white" if dark else "black")
