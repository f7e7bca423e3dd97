"""How the rules of a race look: colours that the colour-blind tell apart, a shape and a dash of their own."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Theme = Literal["light", "dark"]
Polygon = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Colours:
    """The colours of a picture: paper, map (from low to high), lines of the map, words, quiet words, rules."""

    paper: str
    low: str
    high: str
    contour: str
    ink: str
    quiet: str
    rules: tuple[str, ...]


# The rules' hues are those of Okabe and Ito (2008), their lightness was sought so that, with every kind of colour
# blindness, any two differ (by 0.08 or more in Oklab), and all stand out from the map (by a contrast of 3 or more).
THEMES: Mapping[Theme, Colours] = {
    "light": Colours(
        paper="#ffffff",
        low="#fdfdfb",
        high="#d6dde6",
        contour="#b0bbc9",
        ink="#1b1e24",
        quiet="#5d6470",
        rules=("#15238c", "#c94c1c", "#008755", "#a24aac", "#4a5002", "#15171a"),
    ),
    "dark": Colours(
        paper="#11141a",
        low="#12161e",
        high="#3d4a5f",
        contour="#55657d",
        ink="#eceae4",
        quiet="#a3a9b5",
        rules=("#3e9bfe", "#ffa53d", "#32e29c", "#f06ea7", "#f4ed58", "#ffffff"),
    ),
}


@dataclass(frozen=True)
class Look:
    """What tells one rule from the others: the place of its colour, the corners of its marker, its dashes."""

    colour: int
    marker: Polygon
    dashes: tuple[float, ...]

    @property
    def size(self) -> float:
        """How far the marker reaches, if the disc reaches 1."""
        return max(abs(number) for corner in self.marker for number in corner)


def looks(number: int) -> list[Look]:
    """As many looks as there are rules: six colours, then the same dashed; twelve markers.

    >>> len({look.marker for look in looks(12)})
    12
    """
    hues = len(THEMES["light"].rules)
    dashes: tuple[tuple[float, ...], ...] = ((), (4.0, 2.0), (1.2, 1.6))
    return [
        Look(place % hues, MARKERS[place % len(MARKERS)], dashes[place // hues % len(dashes)])
        for place in range(number)
    ]


def _regular(corners: int, turn: float = 0.0, size: float = 1.0) -> Polygon:
    angles = [2 * math.pi * (corner / corners + turn) + math.pi / 2 for corner in range(corners)]
    return tuple((round(size * math.cos(angle), 4), round(size * math.sin(angle), 4)) for angle in angles)


def _star(points: int, waist: float, turn: float = 0.0) -> Polygon:
    outer, inner = _regular(points, turn, 1.25), _regular(points, turn + 0.5 / points, waist)
    return tuple(corner for pair in zip(outer, inner, strict=True) for corner in pair)


MARKERS: tuple[Polygon, ...] = (
    _regular(24),
    _regular(4, 1 / 8, 1.2),
    _regular(3, 0, 1.3),
    _regular(4, 0, 1.25),
    _regular(3, 1 / 2, 1.3),
    _star(5, 0.55),
    _star(4, 0.4, 1 / 8),
    _regular(6, 0, 1.15),
    _regular(3, 1 / 4, 1.3),
    _regular(3, 3 / 4, 1.3),
    _star(4, 0.4),
    _star(6, 0.7),
)


def mix(low: str, high: str, share: float) -> str:
    """The colour that lies ``share`` of the way from one to the other.

    >>> mix("#000000", "#ff8000", 0.5)
    '#804000'
    """
    ends = [[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in (low, high)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(*ends, strict=True))
