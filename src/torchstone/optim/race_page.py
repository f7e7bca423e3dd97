"""A race as one HTML page that plays it: the pictures, the numbers and the program stand in it, nothing is loaded."""

import json
import math
from importlib.resources import files
from itertools import pairwise
from typing import cast

import numpy as np

from torchstone.optim.race import Race
from torchstone.optim.race_scene import Curves, Map, captions, curves_of, exits, last_step, map_of
from torchstone.optim.race_style import THEMES, Colours, looks, mix

WIDTH, HEIGHT = 640, 560  # of the map, in the picture's own units
GRAPH_WIDTH, GRAPH_HEIGHT = 400, 260
MARKER = 5.5  # half a marker's width
DIGITS = 6
Outlines = tuple[list[np.ndarray], list[np.ndarray]]  # points, and where in them each ring begins and ends


def page(race: Race) -> str:
    """The page as text."""
    from jinja2 import Environment, StrictUndefined

    plane, curves, look = map_of(race.surface), curves_of(race), looks(len(race.rules))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_text("race.html")).render(
        style=_text("race.css"),
        script=_text("race.js"),
        themes={name: _variables(colours, len(plane.levels) + 1) for name, colours in THEMES.items()},
        surface=race.surface,
        size={"width": WIDTH, "height": HEIGHT, "graph_width": GRAPH_WIDTH, "graph_height": GRAPH_HEIGHT},
        bands=_bands(plane),
        ticks=_map_ticks(race),
        graph_ticks=_graph_ticks(curves, last_step(race)),
        curve_label=curves.label + (" (logarithmic)" if curves.logarithmic else ""),
        start=_place(race, race.surface.start),
        minima=[_place(race, minimum) for minimum in race.surface.minima],
        rules=[
            {
                "name": name,
                "rate": f"{race.rates[row]:.2g}",
                "colour": look[row].colour,
                "dashes": " ".join(f"{2 * dash:g}" for dash in look[row].dashes),
                "marker": " ".join(f"{MARKER * x:.2f},{-MARKER * y:.2f}" for x, y in look[row].marker),
                "notes": "; ".join(race.notes(name)),
                "width": f"{4.2 - 2.2 * row / max(1, len(race.rules) - 1):.2f}",
            }
            for row, name in enumerate(race.rules)
        ],
        captions=captions(race),
        last=last_step(race),
        data=_data(race, curves),
    )


def _data(race: Race, curves: Curves) -> str:
    """What the program moves, as JSON that can stand inside a page."""
    end = last_step(race) + 1
    shown = {
        "box": race.surface.box,
        "map": [WIDTH, HEIGHT],
        "graph": [GRAPH_WIDTH, GRAPH_HEIGHT],
        "axis": {"low": curves.low, "high": curves.high, "logarithmic": curves.logarithmic},
        "steps": end - 1,
        "rules": [
            {
                "name": name,
                "rate": race.rates[row],
                "x": _rounded(race.paths[row, :end, 0]),
                "y": _rounded(race.paths[row, :end, 1]),
                "f": _rounded(race.values[row, :end]),
                "height": _rounded(curves.heights[row, :end]),
                "stopped": race.stopped[row],
                "end": "diverged" if race.diverged[row] else "escaped",
                "exit": None if place is None else _rounded(place),
            }
            for row, (name, place) in enumerate(zip(race.rules, exits(race), strict=True))
        ],
    }
    return json.dumps(shown, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _rounded(numbers: np.ndarray) -> list[float]:
    return [float(f"{number:.{DIGITS}g}") for number in numbers.tolist()]


def _place(race: Race, point: tuple[float, float]) -> tuple[float, float]:
    """A point in the map's own units, y downwards."""
    (left, right), (bottom, top) = race.surface.box
    x, y = (point[0] - left) / (right - left) * WIDTH, (top - point[1]) / (top - bottom) * HEIGHT
    return round(x, 2), round(y, 2)


def _bands(plane: Map) -> list[str]:
    """For each level the outline of all that lies above it, to be painted one over the other."""
    from contourpy import contour_generator

    size = len(plane.x)
    x, y = np.linspace(0, WIDTH, size), np.linspace(HEIGHT, 0, size)
    contours = contour_generator(x, y, plane.z, fill_type="OuterOffset")
    bands = []
    for level in plane.levels:
        polygons, offsets = cast("Outlines", contours.filled(level, math.inf))
        rings = [
            points[first:last] for points, ends in zip(polygons, offsets, strict=True) for first, last in pairwise(ends)
        ]
        bands.append("".join(_ring(ring) for ring in rings))
    return bands


def _ring(points: np.ndarray) -> str:
    return "M" + "L".join(f"{x:.1f},{y:.1f}" for x, y in points[:-1]) + "Z"


def _map_ticks(race: Race) -> dict[str, list[tuple[float, str]]]:
    (left, right), (bottom, top) = race.surface.box
    across = [(_place(race, (value, top))[0], _words(value)) for value in _ticks(left, right)]
    return {"x": across, "y": [(_place(race, (left, value))[1], _words(value)) for value in _ticks(bottom, top)]}


def _graph_ticks(curves: Curves, last: int) -> dict[str, list[tuple[float, str]]]:
    across = [(value / last * GRAPH_WIDTH, _words(value)) for value in _ticks(0, last)]
    if curves.logarithmic:
        low, high = round(math.log10(curves.low)), round(math.log10(curves.high))
        stride = max(1, math.ceil((high - low) / 6))
        powers = range(high, low - 1, -stride)
        return {"x": across, "y": [((high - power) / (high - low) * GRAPH_HEIGHT, _power(power)) for power in powers]}
    span = curves.high - curves.low
    values = _ticks(curves.low, curves.high)
    return {"x": across, "y": [((curves.high - value) / span * GRAPH_HEIGHT, _words(value)) for value in values]}


def _ticks(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    values = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    return [float(value) for value in values if low <= value <= high]


def _power(exponent: int) -> str:
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _words(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def _variables(colours: Colours, bands: int) -> dict[str, str]:
    """The colours of a theme as CSS variables."""
    names = {name: getattr(colours, name) for name in ("paper", "contour", "ink", "quiet")}
    names |= {f"rule{place}": colour for place, colour in enumerate(colours.rules)}
    return names | {
        f"band{place}": mix(colours.low, colours.high, (place / (bands - 1)) ** 0.8) for place in range(bands)
    }


def _text(name: str) -> str:
    return (files("torchstone.optim") / "templates" / name).read_text(encoding="utf-8")
