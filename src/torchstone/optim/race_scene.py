"""What every picture of a race shows, whatever draws it: the map's levels, the curves' axis, who is where and how."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from torchstone.optim.race import Race
from torchstone.optim.surfaces import Pair, Surface

LEVELS = 14
STEEP = 5.0  # the highest point over the median one, above which levels are spaced by the logarithm
SMALLEST_GAP = 1e-10  # the lowest edge of a logarithmic axis


@dataclass(frozen=True)
class Map:
    """Heights on a regular grid, and the levels of the contours."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    levels: np.ndarray
    logarithmic: bool


@dataclass(frozen=True)
class Curves:
    """What is drawn over the steps: f, or its gap to the minimum; the axis, and whether it is logarithmic."""

    heights: np.ndarray
    low: float
    high: float
    logarithmic: bool
    label: str


def map_of(surface: Surface, size: int = 160) -> Map:
    """The surface's heights over its box, with levels evenly spaced in f, or in log(f − lowest) where it is steep."""
    x, y = (np.linspace(low, high, size) for low, high in surface.box)
    points = torch.from_numpy(np.stack(np.meshgrid(x, y), -1))
    with torch.no_grad():
        z = surface.f(points).double().numpy()
    z = np.ma.filled(np.ma.masked_invalid(z), np.nanmax(z[np.isfinite(z)]))
    base = float(z.min()) if surface.lowest is None else min(surface.lowest, float(z.min()))
    gap = z - base
    if not gap.any():
        return Map(x, y, z, base + np.arange(1.0, LEVELS), logarithmic=False)  # flat: all levels lie above it
    logarithmic = bool(gap.max() > STEEP * np.median(gap))
    if logarithmic:
        levels = base + np.geomspace(max(np.quantile(gap, 0.004), 1e-6 * gap.max()), gap.max(), LEVELS + 1)[:-1]
    else:
        levels = base + np.linspace(0, gap.max(), LEVELS + 1)[1:-1]
    return Map(x, y, z, levels, logarithmic)


def curves_of(race: Race) -> Curves:
    """The gap to the minimum on a logarithmic axis, where the minimum is known; f itself on a plain one otherwise.

    The axis reaches as far as the values on the map do; heights beyond it are put at its edge.
    """
    lowest, escaped = race.surface.lowest, not race.surface.bounded
    shown = race.values[race.surface.holds(torch.from_numpy(race.paths)).numpy() | escaped]
    if lowest is None:
        margin = 0.05 * float(np.ptp(shown)) or 1.0
        low, high = float(shown.min()) - margin, float(shown.max()) + margin
        return Curves(np.clip(race.values, low, high), low, high, False, "f")
    gap = race.values - lowest
    low = 10.0 ** math.floor(math.log10(max((shown - lowest).min(), SMALLEST_GAP)))
    high = 10.0 ** math.ceil(math.log10(max((shown - lowest).max(), 10 * low)))
    return Curves(np.clip(gap, low, high), low, high, True, "f above its minimum" if lowest else "f")


def last_step(race: Race) -> int:
    """The last step that is shown: the last one, or that at which the last of all paths ended."""
    return max(race.steps if stopped is None else stopped for stopped in race.stopped)


def standing(race: Race, rule: int, step: int) -> str:
    """How a rule stands at a step, in a word for its label; nothing for one that is on the map and going on.

    >>> from torchstone.optim import SURFACES, race
    >>> standing(race(SURFACES["saddle"], ["sgd"], tune=0.1), 0, 400)
    'escaped'
    """
    stopped = race.stopped[rule]
    if stopped is not None and step >= stopped:
        return "diverged" if race.diverged[rule] else "escaped"
    inside = bool(race.surface.holds(torch.from_numpy(race.paths[rule, step])))
    return "" if inside else "off the map"


def heads(race: Race, step: int) -> np.ndarray:
    """Where each rule's marker stands, (rules, 2): at its point, or, for one off the map, at the map's edge."""
    places = np.clip(race.paths[:, step], *np.array(race.surface.box).T)
    for row, place in enumerate(exits(race)):
        if place is not None and step >= (race.stopped[row] or 0):
            places[row] = place
    return np.asarray(places)


def exits(race: Race) -> list[np.ndarray | None]:
    """Where each path that escaped crosses the map's edge; None for the others."""
    escaped = [None if race.diverged[row] else stopped for row, stopped in enumerate(race.stopped)]
    return [
        None if step is None else _crossing(race, *race.paths[row, step - 1 : step + 1])
        for row, step in enumerate(escaped)
    ]


def _crossing(race: Race, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Where the way from one point to the other meets the edge."""
    low, high = np.array(race.surface.box).T
    way = outside - inside
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(way > 0, (high - inside) / way, np.where(way < 0, (low - inside) / way, np.inf))
    return np.asarray(inside + way * min(1.0, share.min()))


def captions(race: Race) -> list[str]:
    """What must be said of the picture: the clock, the rates, and what marks at the edges and ends mean."""
    surface, words = race.surface, ["Every rule takes one step at a time, all on one clock."]
    words.append(
        f"Learning rates: {race.grid}, the same grid for all rules." if race.grid else "Learning rates: given."
    )
    if any(left is not None for left in race.left):
        words.append("A path that leaves the map is cut off at its edge, where its marker waits, hollow.")
    if any(race.diverged):
        words.append("A rule that diverged stands at its last finite point.")
    curves, above = curves_of(race), race.values - (surface.lowest or 0.0)
    if (above < curves.low).any():
        words.append(f"Curves at the lower edge are below {curves.low:.0e}.")
    if (above > curves.high).any():
        words.append(f"Curves at the upper edge are above {curves.high:.1e}.")
    if surface.noisy is not None:
        words.append("Rules follow the gradient of random draws, the same for all; map and curves show f itself.")
    return words


def places_of_labels(
    markers: np.ndarray, sizes: np.ndarray, bounds: tuple[float, float, float, float], gap: float
) -> np.ndarray:
    """Where the label of each marker begins, in pixels: beside it, moved up or down until it covers no other label.

    Args:
        markers: (k, 2), where they are, y upwards.
        sizes: (k, 2), widths and heights of the labels.
        bounds: left, right, bottom and top of where labels may be.
        gap: from a marker to its label.

    Returns:
        (k, 2), the lower left corner of each label.
    """
    left, right, bottom, top = bounds
    corners: list[tuple[float, float]] = []
    for (x, y), (width, height) in zip(markers, sizes, strict=True):
        at = x + gap if x + gap + width <= right else max(left, x - gap - width)
        shifts = sorted((step * height / 2 for step in range(-40, 41)), key=abs)
        tries = [(at, min(max(y - height / 2 + shift, bottom), top - height)) for shift in shifts]
        taken = list(zip(corners, sizes[: len(corners)], strict=True))
        free = (spot for spot in tries if not any(_overlap(spot, (width, height), *other) for other in taken))
        corners.append(next(free, tries[0]))
    return np.array(corners)


def _overlap(a: Pair, size_a: Pair, b: Pair, size_b: Pair) -> bool:
    return all(a[axis] < b[axis] + size_b[axis] and b[axis] < a[axis] + size_a[axis] for axis in (0, 1))
