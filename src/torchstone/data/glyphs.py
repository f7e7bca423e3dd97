"""Glyphs: about 1,500 characters in 12 typefaces, rendered from the fonts that come with matplotlib."""

import hashlib
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from jaxtyping import UInt8
from torch import Tensor

from torchstone.cache import cache_folder
from torchstone.data.image_set import ImageSet, Index, positions
from torchstone.files import DamagedFileError, read_tensors, sha256, write_tensors

FACES = tuple(
    f"DejaVu{family}{style}"
    for family, slanted in (("Sans", "Oblique"), ("SansMono", "Oblique"), ("Serif", "Italic"))
    for style in ("", "-Bold", f"-{slanted}", f"-Bold{slanted}")
)
RECIPE = 1  # one more whenever the rendering changes, so that nobody reads pictures of an older recipe from the cache
FEWEST_CLASSES = 1000


@dataclass(frozen=True, eq=False)
class Glyphs:
    """Every character in every face.

    Args:
        images: uint8 (classes, faces, 28, 28); ink is 255, paper 0.
        classes: the characters, in the order of their code points.
        faces: the names of the typefaces.
        version: hash of the list of characters: equal versions have the same classes.
    """

    images: UInt8[Tensor, "classes faces 28 28"]
    classes: tuple[str, ...]
    faces: tuple[str, ...]
    version: str

    def __repr__(self) -> str:
        return f"Glyphs(classes={len(self.classes)}, faces={len(self.faces)}, version={self.version!r})"

    def image_set(self, *, classes: Index | None = None, faces: Index | None = None) -> ImageSet:
        """The chosen characters in the chosen faces as labelled images.

        Args:
            classes: which characters, by position, mask or slice; all by default.
            faces: which faces, likewise.

        Returns:
            k characters × m faces: images (k·m, 1, 28, 28), one character after the other, with labels 0 to k - 1 in
            the order of ``classes``.

        Example:
            >>> letters = glyphs()
            >>> train = letters.image_set(classes=range(100), faces=range(10))
            >>> new_faces = letters.image_set(classes=range(100), faces=[10, 11])
            >>> new_classes = letters.image_set(classes=slice(100, None))
            >>> len(train), len(new_faces)
            (1000, 200)
        """
        rows = positions(slice(None) if classes is None else classes, len(self.classes), "classes")
        columns = positions(slice(None) if faces is None else faces, len(self.faces), "faces")
        chosen = self.images[rows[:, None], columns]  # (k, m, 28, 28)
        labels = torch.arange(len(rows)).repeat_interleave(len(columns))
        return ImageSet(chosen.flatten(0, 1).unsqueeze(1), labels, tuple(self.classes[i] for i in rows.tolist()))


def glyphs(*, cache: str | Path | None = None) -> Glyphs:
    """About 1,500 characters (letters, digits, symbols) in 12 typefaces, 28×28 grey pixels, homoglyphs removed.

    Real typography with true labels, and nothing to download: training and test sets can be disjoint by character or by
    typeface. The first call renders them (some seconds) and keeps them on disk; later calls read them.

    The ink is scaled to 20 pixels and centred, so size and height on the line are gone: of characters that then look
    the same (A and Α and А; not O and o, whose strokes differ in weight) the first code point stays.

    Args:
        cache: folder for the rendered images; by default ``$TORCHSTONE_CACHE`` or ``~/.cache/torchstone``.

    Returns:
        The characters; see :class:`Glyphs`.

    Raises:
        FileNotFoundError: matplotlib or one of its 12 DejaVu faces is missing.
        RuntimeError: the fonts gave fewer than 1,000 classes.

    Example:
        >>> letters = glyphs()
        >>> letters.images.shape[1:], letters.images.dtype
        (torch.Size([12, 28, 28]), torch.uint8)
        >>> "A" in letters.classes, "Α" in letters.classes  # the second is a Greek Alpha: it looks the same
        (True, False)
    """
    fonts = _fonts()
    stored = Path(cache or cache_folder()) / f"glyphs-{_key(fonts)}.safetensors"
    with suppress(OSError, DamagedFileError):
        return _assemble(_verified(read_tensors(stored)))
    from torchstone.data.glyph_rendering import render

    codepoints, images = render(fonts)
    if len(codepoints) < FEWEST_CLASSES:
        raise RuntimeError(
            f"matplotlib's fonts gave {len(codepoints)} glyph classes, but at least {FEWEST_CLASSES} were expected. "
            f"Its DejaVu files are unusual or damaged: install matplotlib again."
        )
    tensors = {"codepoints": codepoints, "images": images}
    _store(stored, tensors | {"checksum": _checksum(tensors)})
    return _assemble(tensors)


def _fonts() -> Sequence[Path]:
    spec = find_spec("matplotlib")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("`glyphs` needs the fonts inside matplotlib. Install it: pip install matplotlib.")
    folder = Path(spec.submodule_search_locations[0]) / "mpl-data" / "fonts" / "ttf"
    fonts = [folder / f"{face}.ttf" for face in FACES]
    missing = [font.name for font in fonts if not font.is_file()]
    if missing:
        raise FileNotFoundError(f"matplotlib's folder {folder} lacks {', '.join(missing)}: install matplotlib again.")
    return fonts


def _key(fonts: Sequence[Path]) -> str:
    """A name for what the pictures depend on: the fonts, the rasteriser and the recipe."""
    import PIL

    digest = hashlib.sha256(f"{RECIPE} {PIL.__version__}".encode())
    for font in fonts:
        digest.update(font.read_bytes())
    return digest.hexdigest()[:16]


def _store(target: Path, tensors: dict[str, Tensor]) -> None:
    try:
        write_tensors(target, tensors)
    except OSError as error:
        warnings.warn(
            f"The glyphs could not be kept in {target.parent} ({error}), so every process renders them again. "
            f"Set TORCHSTONE_CACHE to a folder that you may write to.",
            stacklevel=3,
        )


def _checksum(tensors: dict[str, Tensor]) -> UInt8[Tensor, " 32"]:
    digest = hashlib.sha256()
    for name in ("codepoints", "images"):
        digest.update(tensors[name].contiguous().numpy().data)
    return torch.frombuffer(bytearray(digest.digest()), dtype=torch.uint8)


def _verified(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if tensors.keys() != {"codepoints", "images", "checksum"} or not torch.equal(
        tensors["checksum"], _checksum(tensors)
    ):
        raise DamagedFileError("The cached glyphs are not the ones that were rendered.")
    return tensors


def _assemble(tensors: dict[str, Tensor]) -> Glyphs:
    classes = tuple(map(chr, tensors["codepoints"].tolist()))
    return Glyphs(tensors["images"], classes, FACES, sha256("".join(classes).encode())[:12])
