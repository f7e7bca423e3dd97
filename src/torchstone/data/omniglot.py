"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawers each, read from the official zips."""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from torchstone.data.image_set import ImageSet
from torchstone.files import DamagedFileError

PARTS = ("images_background", "images_evaluation", "images_background_small1", "images_background_small2")
MAX_FILE = 1 << 20  # bytes of a picture; the official ones have some 300
MAX_PART = 1 << 28  # bytes of all pictures in a zip; the official ones have at most 6 million
MAX_SIDE = 1024  # pixels; the official ones have 105
DRAWING = re.compile(r"(?P<name>[^/]+/character\d+)/\d+_(?P<drawer>\d+)\.png$")


@dataclass(frozen=True, eq=False, repr=False)
class Omniglot(ImageSet):
    """Handwritten characters; classes are called ``"Greek/character01"``.

    Args:
        images: uint8 (n, 1, h, w), ink 255.
        labels: int64 (n,), positions in ``classes``.
        classes: alphabet and character, sorted.
        drawers: int64 (n,), who drew it: 1 to 20.
    """

    drawers: Int64[Tensor, " n"]

    @property
    def alphabets(self) -> tuple[str, ...]:
        """The alphabet of each class."""
        return tuple(name.partition("/")[0] for name in self.classes)


def omniglot(root: str | Path, *, parts: Sequence[str] | None = None, size: int | None = None) -> Omniglot:
    """Read Omniglot from its official zips, or from the folders that they unpack to.

    A drawing that several parts have (the two small sets share Greek and Latin, and both lie within the background set)
    is read once, and classes of the same name are one class.

    Args:
        root: folder with ``images_background.zip``, ``images_evaluation.zip``, ``images_background_small1.zip`` or
            ``images_background_small2.zip``, or with folders of these names.
        parts: names of the parts to read, such as ``["images_background"]``; by default all that ``root`` has.
        size: side in pixels to scale to (Lanczos); by default the original 105.

    Returns:
        Images (n, 1, 105, 105) with ink 255 on 0 (the files have black ink on white), sorted by class, then drawer.

    Raises:
        FileNotFoundError: ``root`` lacks a part.
        DamagedFileError: a zip or a picture cannot be read, or it is far larger than those of Omniglot, or a zip has
            names that lead out of it.
        ValueError: a part is unknown or without drawings, ``size`` is below 1, or the pictures differ in size.

    Paper:
        Lake, Salakhutdinov, Tenenbaum, 2015, Science 350(6266).
    """
    if size is not None and size < 1:
        raise ValueError(f"`size` must be at least 1 pixel, but is {size}.")
    drawings: dict[tuple[str, int], UInt8[Tensor, "h w"]] = {}
    for part in _parts(Path(root), parts):
        for path, content in _files(part):
            match = DRAWING.search(path)
            if match and (key := (match["name"], int(match["drawer"]))) not in drawings:
                drawings[key] = _ink(content, size, f"{path} in {part}")
    return _assemble(drawings, Path(root))


def _parts(root: Path, names: Sequence[str] | None) -> list[Path]:
    unknown = sorted(set(names or ()) - set(PARTS))
    if unknown:
        raise ValueError(f"`parts` may name {', '.join(PARTS)}, but names {', '.join(unknown)}.")
    found = {name: path for name in PARTS for path in (root / f"{name}.zip", root / name) if path.exists()}
    missing = [name for name in names if name not in found] if names else ([] if found else ["every part"])
    if missing:
        raise FileNotFoundError(
            f"{root} lacks {', '.join(missing)} of Omniglot. Download the zips from "
            f"https://github.com/brendenlake/omniglot (folder python) into it; they need no unpacking."
        )
    return [found[name] for name in names or found]


def _files(part: Path) -> Iterator[tuple[str, bytes]]:
    """Paths, with forward slashes, and contents of a part's pictures."""
    if part.is_dir():
        for path in sorted(part.rglob("*.png")):
            yield path.relative_to(part).as_posix(), path.read_bytes()
        return
    try:
        with ZipFile(part) as archive:
            for entry in _pictures(archive, part):
                yield entry.filename, archive.read(entry)
    except DamagedFileError:
        raise
    except Exception as error:  # zipfile raises nearly anything over a damaged file
        raise DamagedFileError(f"{part} is no whole zip file ({error}). Download it again.") from error


def _pictures(archive: ZipFile, part: Path) -> list[ZipInfo]:
    """The pictures in a zip, by name; nothing is unpacked to see that they are of a decent size."""
    entries = [entry for entry in archive.infolist() if entry.filename.endswith(".png")]
    for entry in entries:
        if entry.filename.startswith("/") or ".." in entry.filename.split("/"):
            raise DamagedFileError(f"{part} has a name that leads out of it: {entry.filename!r}. Download it again.")
    sizes = [entry.file_size for entry in entries]
    if max(sizes, default=0) > MAX_FILE or sum(sizes) > MAX_PART:
        raise DamagedFileError(
            f"{part} would unpack to {sum(sizes)} bytes of pictures, the largest of {max(sizes)}, but Omniglot's have "
            f"at most {MAX_PART} and {MAX_FILE}. Download it again."
        )
    ours = [entry for entry in entries if not entry.filename.startswith("__MACOSX")]
    return sorted(ours, key=lambda entry: entry.filename)


def _ink(content: bytes, size: int | None, name: str) -> UInt8[Tensor, "h w"]:
    from PIL import Image, ImageOps

    try:
        source = Image.open(io.BytesIO(content))
        if max(source.size) > MAX_SIDE:
            raise ValueError(f"{source.width}×{source.height} pixels are too many; at most {MAX_SIDE} a side")
        picture = ImageOps.invert(source.convert("L"))
    except Exception as error:  # and so does Pillow
        raise DamagedFileError(f"{name} is no picture that Pillow can read ({error}). Download it again.") from error
    if size is not None:
        picture = picture.resize((size, size), Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(picture))


def _assemble(drawings: dict[tuple[str, int], Tensor], root: Path) -> Omniglot:
    if not drawings:
        raise ValueError(
            f"The parts of Omniglot in {root} hold no drawing of the form alphabet/character/id_drawer.png."
        )
    shapes = {tuple(drawing.shape) for drawing in drawings.values()}
    if len(shapes) > 1:
        raise ValueError(f"The drawings in {root} differ in size: {sorted(shapes)}. Give `size` to scale them to one.")
    keys = sorted(drawings)
    classes = tuple(sorted({name for name, _ in keys}))
    numbers = {name: label for label, name in enumerate(classes)}
    images = torch.stack([drawings[key] for key in keys]).unsqueeze(1)
    labels, drawers = ([numbers[name] for name, _ in keys], [drawer for _, drawer in keys])
    return Omniglot(images, torch.tensor(labels), classes, torch.tensor(drawers))
