"""A race drawn by Matplotlib: the map with the paths, the curves over the steps, the legend with the rates."""

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from torchstone.optim.race import Race
from torchstone.optim.race_scene import captions, curves_of, heads, last_step, map_of, places_of_labels, standing
from torchstone.optim.race_style import THEMES, Look, Theme, looks, mix

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

SIZE = (9.2, 5.6)  # inches
MARKER = 7.6  # points
THICK, THIN = 2.9, 1.4  # points; of the first and the last rule's line, so that both are seen where they run together
LABEL_GAP = 9.0  # pixels


class Board:
    """A figure in two layers: what never changes, and what :meth:`show` puts in its place at a step.

    Args:
        race: what to draw.
        theme: light or dark.
        dpi: dots per inch.
    """

    def __init__(self, race: Race, theme: Theme = "light", dpi: int = 100) -> None:
        from matplotlib.figure import Figure

        self.race, self.colours, self.looks = race, THEMES[theme], looks(len(race.rules))
        self.figure = Figure(figsize=SIZE, dpi=dpi, facecolor=self.colours.paper)
        self.map: Axes = self.figure.add_axes((0.06, 0.145, 0.5, 0.715))
        self.graph: Axes = self.figure.add_axes((0.655, 0.145, 0.325, 0.4))
        self.curves, self.last = curves_of(race), last_step(race)
        self._draw_map()
        self._draw_graph()
        self._draw_words()
        self.rules = [_Rule(self, row) for row in range(len(race.rules))]
        self.clock = self.figure.text(0.98, 0.925, "", ha="right", color=self.colours.ink, size=12, family="monospace")

    @property
    def moving(self) -> "list[Artist]":
        """All that changes with the step, in the order of drawing."""
        parts = [(part.get_zorder(), part) for rule in self.rules for part in rule.artists]
        return [part for _, part in sorted(parts, key=lambda pair: pair[0])] + [self.clock]

    def show(self, step: int) -> None:
        """Put every rule where it was at ``step``."""
        self.clock.set_text(f"step {step:>{len(str(self.last))}} of {self.last}")
        places = heads(self.race, step)
        for rule in self.rules:
            rule.show(step, places[rule.row])
        pixels, box = self.map.transData.transform(places), self.map.bbox
        sizes = np.array([rule.label_size() for rule in self.rules])
        bounds = (box.x0 + 3, box.x1 - 3, box.y0 + 3, box.y1 - 3)
        scale = self.figure.dpi / 100
        corners = self.map.transData.inverted().transform(places_of_labels(pixels, sizes, bounds, LABEL_GAP * scale))
        for rule, corner in zip(self.rules, corners, strict=True):
            rule.label.set_position(tuple(corner))

    def _draw_map(self) -> None:
        plane, colours, surface = map_of(self.race.surface), self.colours, self.race.surface
        steps = len(plane.levels) + 1
        bands = [mix(colours.low, colours.high, (step / (steps - 1)) ** 0.8) for step in range(steps)]
        self.map.contourf(plane.x, plane.y, plane.z, plane.levels, colors=bands, extend="both")
        self.map.contour(
            plane.x, plane.y, plane.z, plane.levels, colors=colours.contour, linewidths=0.5, linestyles="solid"
        )
        self.map.set(xlim=surface.box[0], ylim=surface.box[1], xlabel="x", ylabel="y")
        for x, y in surface.minima:
            self.map.plot(x, y, "*", markersize=15, color=colours.ink, markeredgecolor=colours.paper, zorder=2.4)
        self.map.plot(
            *surface.start, "o", markersize=9, markerfacecolor="none", markeredgecolor=colours.ink, zorder=2.4
        )
        self._plain(self.map)

    def _draw_graph(self) -> None:
        from matplotlib.ticker import NullFormatter

        curves = self.curves
        self.graph.set(xlim=(0, self.last), ylim=(curves.low, curves.high), xlabel="step")
        self.graph.set_yscale("log" if curves.logarithmic else "linear")
        self.graph.yaxis.set_minor_formatter(NullFormatter())
        self.graph.set_title(curves.label, loc="left", size=10, color=self.colours.quiet)
        self.graph.grid(color=self.colours.contour, linewidth=0.4, alpha=0.6)
        self.graph.set_axisbelow(True)
        self.graph.set_facecolor(self.colours.paper)
        self.graph.tick_params(which="minor", length=0)
        self._plain(self.graph)

    def _plain(self, axes: "Axes") -> None:
        axes.tick_params(colors=self.colours.quiet, labelsize=8, length=2.5)
        axes.xaxis.label.set(color=self.colours.quiet, size=9)
        axes.yaxis.label.set(color=self.colours.quiet, size=9)
        for spine in axes.spines.values():
            spine.set(color=self.colours.contour, linewidth=0.7)

    def _draw_words(self) -> None:
        race, colours, write = self.race, self.colours, self.figure.text
        write(
            0.06,
            0.925,
            race.surface.title or race.surface.name,
            size=15,
            weight="bold",
            color=colours.ink,
            parse_math=False,
        )
        write(0.06, 0.88, race.surface.formula, size=9.5, color=colours.quiet, parse_math=False)
        known = "★ minimum     " if len(race.surface.minima) == 1 else "★ minima     "
        signs = (known if race.surface.minima else "") + "○ start"
        write(0.56, 0.088, signs, size=8.5, ha="right", color=colours.quiet)
        small = "\n".join(wrap(" ".join(captions(race)), 166))
        write(0.06, 0.07, small, size=6.8, color=colours.quiet, va="top", linespacing=1.3)

    def legend_place(self, row: int) -> tuple[float, float, float]:
        """Left, baseline and size of a rule's line in the legend, in shares of the figure and in points."""
        height = min(0.048, 0.27 / len(self.race.rules))
        return 0.655, 0.845 - height * row, min(10.0, 10 * height / 0.036)


class _Rule:
    """What is drawn of one rule."""

    def __init__(self, board: Board, row: int) -> None:
        self.board, self.row, self.look = board, row, board.looks[row]
        colour = board.colours.rules[self.look.colour]
        width = THICK + (THIN - THICK) * row / max(1, len(board.race.rules) - 1)
        style: dict[str, Any] = {"color": colour, "linewidth": width, "linestyle": _dashes(self.look)}
        halo: dict[str, Any] = {"color": board.colours.paper, "linewidth": width + 1.6, "alpha": 0.75}
        size = MARKER * self.look.size
        mark: dict[str, Any] = {
            "marker": self.look.marker,
            "markersize": size,
            "markeredgecolor": board.colours.paper,
            "color": colour,
            "linestyle": "none",
        }
        on = board.map
        (self.halo,) = on.plot([], [], zorder=3.0, solid_joinstyle="round", **halo)
        (self.path,) = on.plot([], [], zorder=3.1, **style)
        (self.head,) = on.plot([], [], zorder=4.0, clip_on=False, **mark)
        plate = {"boxstyle": "round,pad=0.12", "facecolor": board.colours.paper, "edgecolor": "none", "alpha": 0.72}
        words: dict[str, Any] = {"size": 8.5, "color": colour, "weight": "bold", "parse_math": False}
        self.label = on.text(0, 0, "", zorder=4.1, va="bottom", bbox=plate, **words)
        (self.curve,) = board.graph.plot([], [], zorder=3.1, **style)
        (self.tip,) = board.graph.plot([], [], zorder=4.0, clip_on=False, **mark)
        self.colour = colour
        self._legend(mark)

    @property
    def artists(self) -> "list[Artist]":
        return [self.halo, self.path, self.head, self.label, self.curve, self.tip]

    def show(self, step: int, head: np.ndarray) -> None:
        race, steps = self.board.race, np.arange(step + 1)
        trail = race.paths[self.row, : step + 1].T
        self.halo.set_data(*trail)
        self.path.set_data(*trail)
        self.head.set_data([head[0]], [head[1]])
        word = standing(race, self.row, step)
        self.head.set_markerfacecolor(self.board.colours.paper if word else self.colour)
        self.head.set_markeredgecolor(self.colour if word else self.board.colours.paper)
        self.label.set_text(f"{race.rules[self.row]} · {word}" if word else race.rules[self.row])
        heights = self.board.curves.heights[self.row]
        self.curve.set_data(steps, heights[: step + 1])
        self.tip.set_data([step], [heights[step]])

    def label_size(self) -> tuple[float, float]:
        """Width and height in pixels."""
        extent = self.label.get_window_extent()
        return extent.width + 3, extent.height + 2

    def _legend(self, mark: dict[str, Any]) -> None:
        board, race = self.board, self.board.race
        left, base, size = board.legend_place(self.row)
        from matplotlib.lines import Line2D

        at: dict[str, Any] = {"transform": board.figure.transFigure, "figure": board.figure}
        line = Line2D([left, left + 0.04], [base + 0.012] * 2, color=self.colour, lw=2.2, ls=_dashes(self.look), **at)
        point = Line2D([left + 0.02], [base + 0.012], **mark, **at)
        board.figure.add_artist(line)
        board.figure.add_artist(point)
        name = race.rules[self.row]
        board.figure.text(left + 0.052, base, name, size=size, color=board.colours.ink, parse_math=False)
        rate = f"lr {race.rates[self.row]:.2g}"
        board.figure.text(0.98, base, rate, size=size * 0.9, color=board.colours.quiet, ha="right")


def _dashes(look: Look) -> Any:
    return (0, look.dashes) if look.dashes else "-"
