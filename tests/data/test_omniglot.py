"""Omniglot from zips and folders: ink, classes, drawers, and sets that overlap."""

import io
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from PIL import Image

from torchstone.data import omniglot
from torchstone.files import DamagedFileError

OFFICIAL = Path(__file__).parents[3] / "shared" / "data" / "omniglot"


def drawing(x: int, side: int = 105) -> bytes:
    """White paper with one black dot in row 2, column x."""
    picture = Image.new("1", (side, side), 1)
    picture.putpixel((x, 2), 0)
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def write_zip(folder: Path, part: str, drawings: dict[str, bytes]) -> None:
    with zipfile.ZipFile(folder / f"{part}.zip", "w") as archive:
        archive.mkdir(f"{part}/Greek/character01")
        archive.writestr(f"__MACOSX/{part}/Greek/character01/._0001_01.png", b"rubbish")
        for path, content in drawings.items():
            archive.writestr(f"{part}/{path}", content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two small sets that share a class."""
    write_zip(
        tmp_path,
        "images_background_small1",
        {
            "Latin/character02/0020_01.png": drawing(9),
            "Greek/character01/0001_02.png": drawing(8),
            "Greek/character01/0001_01.png": drawing(7),
        },
    )
    write_zip(
        tmp_path,
        "images_background_small2",
        {"Greek/character01/0001_01.png": drawing(7), "Tagalog/character01/0030_03.png": drawing(6)},
    )
    return tmp_path


def test_ink_is_white_on_black_at_full_size(root: Path) -> None:
    pictures = omniglot(root)
    assert pictures.images.shape == (4, 1, 105, 105)
    assert pictures.images.nonzero()[:, 1:].tolist() == [[0, 2, 7], [0, 2, 8], [0, 2, 9], [0, 2, 6]]
    assert pictures.images.max() == 255


def test_a_class_in_two_sets_is_one_class_and_its_drawings_are_not_doubled(root: Path) -> None:
    pictures = omniglot(root)
    assert pictures.classes == ("Greek/character01", "Latin/character02", "Tagalog/character01")
    assert pictures.alphabets == ("Greek", "Latin", "Tagalog")
    assert pictures.labels.tolist() == [0, 0, 1, 2]
    assert pictures.drawers.tolist() == [1, 2, 1, 3]


def test_parts_choose_sets(root: Path) -> None:
    assert omniglot(root, parts=["images_background_small2"]).alphabets == ("Greek", "Tagalog")


def test_an_unpacked_set_is_read_like_its_zip(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    unpacked = tmp_path_factory.mktemp("unpacked")
    for archive in root.glob("*.zip"):
        with zipfile.ZipFile(archive) as content:
            content.extractall(unpacked)
    ours, theirs = omniglot(root), omniglot(unpacked)
    assert torch.equal(ours.images, theirs.images)
    assert (ours.classes, ours.labels.tolist()) == (theirs.classes, theirs.labels.tolist())


def test_size_scales_the_drawings(root: Path) -> None:
    small = omniglot(root, size=35)
    assert small.images.shape == (4, 1, 35, 35)
    assert small.images[0, 0].argmax() == 0 * 35 + 2  # row 2, column 7 of 105 is row 0, column 2 of 35


def test_a_subset_keeps_the_drawers(root: Path) -> None:
    assert omniglot(root).subset([3, 1]).drawers.tolist() == [3, 2]


def test_what_is_missing_or_unknown_is_named(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(FileNotFoundError, match=r"lacks images_evaluation of Omniglot\. Download the zips"):
        omniglot(root, parts=["images_evaluation"])
    with pytest.raises(FileNotFoundError, match="lacks every part"):
        omniglot(tmp_path_factory.mktemp("nothing"))
    with pytest.raises(ValueError, match="but names evaluation"):
        omniglot(root, parts=["evaluation"])
    with pytest.raises(ValueError, match="`size` must be at least 1"):
        omniglot(root, size=0)


def test_damage_is_named(tmp_path: Path) -> None:
    (tmp_path / "images_background.zip").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DamagedFileError, match=r"images_background\.zip is no whole zip file"):
        omniglot(tmp_path)
    write_zip(tmp_path, "images_background", {"Greek/character01/0001_01.png": b"no picture"})
    with pytest.raises(DamagedFileError, match=r"0001_01\.png in .* is no picture"):
        omniglot(tmp_path)


def test_whatever_byte_is_damaged_no_other_error_comes(tmp_path: Path) -> None:
    source = tmp_path / "images_background.zip"
    with zipfile.ZipFile(source, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images_background/Greek/character01/0001_01.png", drawing(5, side=9))
    whole = source.read_bytes()
    ends = []
    for i in range(len(whole)):
        source.write_bytes(whole[:i] + bytes([whole[i] ^ 8]) + whole[i + 1 :])
        try:
            ends.append(len(omniglot(tmp_path)))
        except ValueError as error:  # damaged; or, with damage in a name, without drawings
            ends.append(type(error))
    assert ends.count(DamagedFileError) > len(whole) / 2


def test_a_picture_of_which_any_byte_is_damaged_is_named(tmp_path: Path) -> None:
    picture = tmp_path / "images_background" / "Greek" / "character01" / "0001_01.png"
    picture.parent.mkdir(parents=True)
    whole = drawing(5, side=9)
    for i in range(len(whole)):
        picture.write_bytes(whole[:i] + bytes([whole[i] ^ 128]) + whole[i + 1 :])
        with suppress(DamagedFileError):
            omniglot(tmp_path)


def test_sets_without_drawings_or_with_different_sizes_are_refused(tmp_path: Path) -> None:
    write_zip(tmp_path, "images_background", {})
    with pytest.raises(ValueError, match="hold no drawing"):
        omniglot(tmp_path)
    sizes = {"A/character01/0001_01.png": drawing(3), "A/character01/0001_02.png": drawing(3, side=28)}
    write_zip(tmp_path, "images_evaluation", sizes)
    with pytest.raises(ValueError, match="differ in size"):
        omniglot(tmp_path)
    assert len(omniglot(tmp_path, size=28)) == 2


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="no official Omniglot beside the checkout")
def test_the_official_small_sets() -> None:
    pictures = omniglot(OFFICIAL, size=28)
    assert len(pictures.classes) == 242
    assert len(set(pictures.alphabets)) == 8
    assert pictures.labels.bincount().eq(20).all()
    assert torch.equal(pictures.drawers.view(242, 20), torch.arange(1, 21).expand(242, 20))
    assert 0.05 < pictures.floats().mean() < 0.12
