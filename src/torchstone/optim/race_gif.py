"""A race as a GIF: the map is drawn once, and in every frame only what moves."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from torchstone.files import atomic_path
from torchstone.optim.race import Race
from torchstone.optim.race_board import Board
from torchstone.optim.race_style import Theme

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMES = 120
MILLISECONDS = 50  # a frame
REST = 2500  # milliseconds, of the last frame
HURRY = 1.6  # the exponent of the clock: the first steps, in which most happens, are shown more slowly
COLOURS = 96
SWATCH = 60  # pixels


def write_gif(race: Race, path: Path, theme: Theme) -> None:
    """Write the animation to ``path``; it runs for about eight seconds and repeats."""
    frames = _frames(race, theme)
    durations = [MILLISECONDS] * (len(frames) - 1) + [REST]
    with atomic_path(path) as temporary:
        frames[0].save(
            temporary, format="GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, disposal=1
        )


def steps_shown(steps: int, frames: int = FRAMES) -> list[int]:
    """The step that each frame shows, from 0 to the last, none twice; the same for all rules.

    >>> steps_shown(500)[:6], steps_shown(500)[-1], steps_shown(3)
    ([0, 1, 2, 3, 4, 5], 500, [0, 1, 2, 3])
    """
    moments = np.linspace(0, 1, min(frames, steps + 1)) ** HURRY
    return [max(frame, step) for frame, step in enumerate(np.rint(moments * steps).astype(int).tolist())]


def _frames(race: Race, theme: Theme) -> "list[Image]":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL.Image import Dither, Quantize

    board = Board(race, theme)
    canvas: Any = FigureCanvasAgg(board.figure)
    for part in board.moving:
        part.set_animated(True)
    canvas.draw()
    empty = canvas.copy_from_bbox(board.figure.bbox)
    pictures = []
    for step in steps_shown(board.last):
        canvas.restore_region(empty)
        board.show(step)
        for part in board.moving:
            board.figure.draw_artist(part)
        pictures.append(_picture(canvas.buffer_rgba()))
    palette = _with_swatches(pictures[-1], board.colours.rules).quantize(COLOURS, method=Quantize.MEDIANCUT)
    return [picture.quantize(palette=palette, dither=Dither.NONE) for picture in pictures]


def _with_swatches(picture: "Image", colours: Sequence[str]) -> "Image":
    """A picture from which a palette is made that has the rules' own colours, however little of it they cover."""
    with_swatches = picture.copy()
    for place, colour in enumerate(colours):
        with_swatches.paste(colour, (SWATCH * place, 0, SWATCH * (place + 1), SWATCH))
    return with_swatches


def _picture(pixels: object) -> "Image":
    from PIL import Image

    return Image.fromarray(np.array(pixels)[..., :3])
