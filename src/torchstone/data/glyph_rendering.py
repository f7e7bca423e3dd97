"""From font files to glyph images: which characters, how they are drawn, which of them look the same."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lo", "Nd", "So", "Sm", "Sc", "Po"})  # letters, digits, symbols, punctuation
POINTS = 64  # size at which a character is drawn before it is scaled down
LONGEST = 20  # longer side of the ink, in pixels
SIDE = 28  # side of an image, in pixels
LIKENESS = 0.95  # cosine similarity above which two characters are taken for the same in a face


def render(fonts: Sequence[Path]) -> tuple[Int64[Tensor, " classes"], UInt8[Tensor, "classes faces 28 28"]]:
    """Draw every character that all fonts have, and drop those that look like an earlier one.

    Args:
        fonts: font files, one for each face.

    Returns:
        Code points in ascending order, and their images: ink 255, longer side 20 pixels, centred.
    """
    codepoints = torch.tensor(common_characters(fonts))
    images = torch.stack([_draw_face(font, codepoints.tolist()) for font in fonts], dim=1)
    inked = (images.amax(dim=(2, 3)) > 0).all(dim=1)
    codepoints, images = codepoints[inked], images[inked]
    kept = without_homoglyphs(images)
    return codepoints[kept], images[kept]


def common_characters(fonts: Sequence[Path]) -> list[int]:
    """The code points, of the categories above, that every font has."""
    from matplotlib.ft2font import FT2Font

    shared = set.intersection(*(set(FT2Font(str(font)).get_charmap()) for font in fonts))
    return sorted(point for point in shared if unicodedata.category(chr(point)) in CATEGORIES)


def without_homoglyphs(images: UInt8[Tensor, "n faces h w"], threshold: float = LIKENESS) -> Bool[Tensor, " n"]:
    """Which characters to keep, so that no two of them look the same.

    In order, a character goes if it looks like one that stays: if the cosine similarity of their pixels exceeds
    ``threshold`` in more than half of the faces (that is, if its lower median over the faces does).

    Args:
        images: uint8 (n, faces, h, w), with ink in every image.
        threshold: cosine similarity above which two images look the same.

    Returns:
        A mask of the n characters.
    """
    n, faces = images.shape[:2]
    votes = torch.zeros(n, n, dtype=torch.uint8)
    for face in images.unbind(dim=1):
        unit = torch.nn.functional.normalize(face.flatten(1).to(torch.float32), dim=1)
        votes += unit @ unit.T > threshold
    alike = (2 * votes.to(torch.int16) > faces).numpy()
    kept = np.zeros(n, dtype=bool)
    for i in range(n):
        kept[i] = not (alike[i] & kept).any()
    return torch.from_numpy(kept)


def _draw_face(path: Path, codepoints: Sequence[int]) -> UInt8[Tensor, "n 28 28"]:
    from PIL import ImageFont

    font = ImageFont.truetype(str(path), POINTS, layout_engine=ImageFont.Layout.BASIC)
    return torch.from_numpy(np.stack([_draw(font, chr(point)) for point in codepoints]))


def _draw(font: Any, character: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A character's ink, its longer side LONGEST pixels, in the middle of a SIDE × SIDE image."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", (4 * POINTS, 4 * POINTS))
    ImageDraw.Draw(canvas).text((POINTS, POINTS), character, font=font, fill=255)
    box = canvas.getbbox()
    image = Image.new("L", (SIDE, SIDE))
    if box is not None:
        ink = canvas.crop(box)
        zoom = LONGEST / max(ink.size)
        ink = ink.resize((max(1, round(ink.width * zoom)), max(1, round(ink.height * zoom))), Image.Resampling.BOX)
        image.paste(ink, ((SIDE - ink.width) // 2, (SIDE - ink.height) // 2))
    return np.asarray(image)
