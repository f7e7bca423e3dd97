"""A user's own folder of pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from torchstone.data.image_set import ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 1 << 26  # 67 million: more than nearly any camera takes, and no more than 256 MiB when decoded
MODES = {1: "L", 3: "RGB"}


def images(folder: str | Path, *, size: int | tuple[int, int] | None = None, channels: int = 3) -> ImageSet:
    """Read a folder of pictures: one class for each sub-folder, or all pictures in the folder as one class.

    Every format that Pillow reads; files are sorted by path, hidden ones are skipped. Pictures are turned as their EXIF
    orientation says; transparent ones are laid on white; of 16-bit ones the upper 8 bits stay; of animations the first
    frame.

    Args:
        folder: the folder.
        size: height and width in pixels, or the side of a square; each picture is scaled to cover it, then cropped
            about its centre. By default pictures keep their size, which must then be the same for all.
        channels: 1 for grey, 3 for colour.

    Returns:
        Images (n, channels, h, w). Classes are the names of the sub-folders, sorted; or the name of the folder itself.

    Raises:
        FileNotFoundError: there is no such folder, or it or one of its sub-folders has no picture.
        ValueError: a file is no picture or one of more than 67 million pixels, pictures differ in size, or pictures lie
            both beside and in sub-folders.
    """
    if channels not in MODES:
        raise ValueError(f"`channels` must be 1 (grey) or 3 (colour), but is {channels}.")
    side = (size, size) if isinstance(size, int) else size
    if side is not None and min(side) < 1:
        raise ValueError(f"`size` must be at least 1 pixel, but is {size}.")
    classes = _classes(Path(folder))
    paths = [(path, label) for label, group in enumerate(classes.values()) for path in group]
    pictures = [_read(path, side, channels) for path, _ in paths]
    _check_sizes(pictures, [path for path, _ in paths])
    return ImageSet(torch.stack(pictures), torch.tensor([label for _, label in paths]), tuple(classes))


def picture_files(folder: str | Path) -> list[Path]:
    """The files that :func:`images` reads, in the order of its rows.

    Raises:
        FileNotFoundError, ValueError: as for :func:`images`.
    """
    return [path for group in _classes(Path(folder)).values() for path in group]


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The files of each class."""
    if not folder.is_dir():
        raise FileNotFoundError(f"`folder` must be a folder of pictures, but there is none at {folder}.")
    flat, nested = _visible(folder), sorted(path for path in folder.iterdir() if path.is_dir() and _shown(path.name))
    if flat and nested:
        raise ValueError(
            f"{folder} has both pictures ({flat[0].name}, ...) and sub-folders ({nested[0].name}, ...), so it is "
            f"unclear what the classes are. Move the pictures into sub-folders, or name one of the sub-folders."
        )
    classes = {path.name: _visible(path, deep=True) for path in nested} or {folder.resolve().name: flat}
    empty = [name for name, files in classes.items() if not files]
    if empty:
        raise FileNotFoundError(f"There is no picture in {', '.join(empty)} (looked for in {folder}).")
    return classes


def _visible(folder: Path, deep: bool = False) -> list[Path]:
    found = folder.rglob("*") if deep else folder.iterdir()
    return sorted(path for path in found if path.is_file() and all(map(_shown, path.relative_to(folder).parts)))


def _shown(name: str) -> bool:
    return not name.startswith(".")


def _read(path: Path, side: tuple[int, int] | None, channels: int) -> UInt8[Tensor, "c h w"]:
    from PIL import Image, ImageOps

    picture = _flattened(_decode(path), path).convert(MODES[channels])
    if side is not None:
        picture = ImageOps.fit(picture, side[::-1], method=Image.Resampling.LANCZOS)
    pixels = torch.from_numpy(np.array(picture))
    return pixels.view(*pixels.shape[:2], channels).permute(2, 0, 1).contiguous()


def _decode(path: Path) -> "Image":
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as source:
            if source.width * source.height > MAX_PIXELS:
                raise ValueError(f"{source.width}×{source.height} pixels are more than {MAX_PIXELS}")
            return ImageOps.exif_transpose(source)
    except Exception as error:  # each of Pillow's decoders has its own ideas of what to raise
        raise ValueError(f"{path} is no picture that can be read ({error}). Remove or mend it.") from error


def _flattened(picture: "Image", path: Path) -> "Image":
    """The picture without transparency and with 8 bits a channel."""
    from PIL import Image

    if picture.mode.startswith("I"):
        levels = np.asarray(picture)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError(f"{path} has levels from {levels.min()} to {levels.max()}; at most 16 bits can be read.")
        return Image.fromarray((levels >> 8).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError(f"{path} has floating-point levels, whose range is unknown. Convert it to 8 or 16 bits first.")
    if picture.has_transparency_data:
        ink = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", ink.size, "white"), ink)
    return picture


def _check_sizes(pictures: Sequence[Tensor], paths: Sequence[Path]) -> None:
    for picture, path in zip(pictures, paths, strict=True):
        if picture.shape != pictures[0].shape:
            (height, width), (first_height, first_width) = picture.shape[1:], pictures[0].shape[1:]
            raise ValueError(
                f"{path} has {height}×{width} pixels, but {paths[0]} has {first_height}×{first_width}. "
                f"Give `size` to scale all pictures to one size, for example size=64."
            )
