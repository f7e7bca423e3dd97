"""A picture of a memory at work: what was pushed when, and how long it stayed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from torchstone.pictures import svg
from torchstone.programs.memory.memory import Memory, MemoryState

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = "#0072b2", "#d55e00"  # pushes and pops, apart for the colour-blind
ENDS = {1: ("",), 2: (" at the top", " at the bottom")}


@dataclass(frozen=True)
class Trace:
    """What a controller did with its memory on one sequence.

    Attributes:
        push: (t, copies, ends), how much was pushed at each step.
        pop: (t, copies, ends), how much was popped.
        strengths: (t, copies, rows), how much of each cell was there after each step; NaN where there was no such cell
            yet. A row is a cell for life, in the order in which the memory keeps them, the top or front first. (In a
            superposition stack things move from cell to cell: its row i is the i-th cell from the top.)
    """

    push: Float[Tensor, "t copies ends"]
    pop: Float[Tensor, "t copies ends"]
    strengths: Float[Tensor, "t copies rows"]

    def figure(self, symbols: Sequence[str] | None = None, *, copy: int = 0, title: str = "") -> "Figure":
        """Draw it: time runs to the right, a row is a cell, dark is there; below, pushes (up) and pops (down).

        Args:
            symbols: what was read at each step, to be written below.
            copy: which of the memories.
            title: stands above.

        Returns:
            A ``matplotlib.figure.Figure``; it belongs to no window.

        Raises:
            ValueError: there are not as many symbols as steps, or no such copy.
        """
        from matplotlib.figure import Figure

        steps, copies, ends = self.push.shape
        if symbols is not None and len(symbols) != steps:
            raise ValueError(
                f"`symbols` has {len(symbols)} entries, but the trace {steps} steps: one for each is needed."
            )
        if not 0 <= copy < copies:
            raise ValueError(f"`copy` is {copy}, but there are {copies} memories, counted from 0.")
        figure = Figure(figsize=(max(3.6, 0.27 * steps + 1.6), 3.2 + 1.1 * ends), layout="constrained")
        panels = figure.subplots(1 + ends, 1, sharex=True, height_ratios=[3.2] + [1] * ends, squeeze=False)[:, 0]
        self._draw_strengths(panels[0], copy)
        for end, name in enumerate(ENDS[ends]):
            self._draw_actions(panels[1 + end], copy, end, name)
        panels[0].set_title(title, fontsize=10)
        if symbols is None:
            panels[-1].set_xlabel("step")
        else:
            panels[-1].set_xticks(range(steps), symbols, fontsize=8)
        return figure

    def svg(self, symbols: Sequence[str] | None = None, *, copy: int = 0, title: str = "") -> str:
        """The same picture as an ``<svg>`` element."""
        return svg(self.figure(symbols, copy=copy, title=title))

    def _draw_strengths(self, axes: "Axes", copy: int) -> None:
        import matplotlib

        colours = matplotlib.colormaps["Greys"].with_extremes(bad="white")
        image = axes.imshow(self.strengths[:, copy].T.float().numpy(), cmap=colours, vmin=0, vmax=1, aspect="auto")
        for row in range(1, self.strengths.shape[-1]):
            axes.axhline(row - 0.5, color="white", linewidth=1.2)
        axes.set_ylabel("cell")
        axes.set_yticks([])
        axes.figure.colorbar(image, ax=axes, label="strength", fraction=0.05)

    def _draw_actions(self, axes: "Axes", copy: int, end: int, name: str) -> None:
        steps = range(len(self.push))
        axes.bar(steps, self.push[:, copy, end].float().numpy(), color=COLOURS[0], label="push")
        axes.bar(steps, -self.pop[:, copy, end].float().numpy(), color=COLOURS[1], label="pop")
        axes.axhline(0, color="0.3", linewidth=0.8)
        axes.set_ylim(-1.05, 1.05)
        axes.set_yticks([-1, 0, 1], ["pop", "", "push"], fontsize=8)
        axes.set_ylabel(name.strip(), fontsize=8)


def trace_of(memory: Memory, moments: Sequence[tuple[MemoryState, Tensor, Tensor]]) -> Trace:
    """The trace of a batch of one: state, push and pop after each step, beginning with an empty memory."""
    steps = len(moments)
    front, back = memory.grows
    rows = []
    for to_come, (state, _, _) in zip(reversed(range(steps)), moments, strict=True):
        rows.append(pad(state.strengths[0], (front * to_come, back * to_come), value=torch.nan))
    most = max(row.shape[-1] for row in rows)
    strengths = torch.stack([pad(row, (0, most - row.shape[-1]), value=torch.nan) for row in rows])
    push, pop = (torch.stack([moment[which][0] for moment in moments]) for which in (1, 2))
    shape = (*strengths.shape[:2], -1)
    return Trace(push.view(shape).cpu(), pop.view(shape).cpu(), strengths.cpu())
