"""A user's own pictures: classes, formats, and everything that can be wrong with a folder."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from torchstone.data import images, picture_files


def save(path: Path, colour: object = (10, 20, 30), size: tuple[int, int] = (4, 3), mode: str = "RGB") -> Path:
    """A picture of one colour; ``size`` is width, height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)  # type: ignore[arg-type]
    return path


def only(folder: Path, channels: int = 3) -> list[int]:
    """The channels of the one colour of the one picture."""
    (picture,) = images(folder, channels=channels).images
    (colour,) = picture.flatten(1).unique(dim=1).T.tolist()
    return list(colour)


def test_sub_folders_are_classes_in_order(tmp_path: Path) -> None:
    save(tmp_path / "dog" / "1.png", (1, 1, 1))
    save(tmp_path / "cat" / "b.png", (3, 3, 3))
    save(tmp_path / "cat" / "deep" / "a.bmp", (4, 4, 4))
    save(tmp_path / "cat" / "a.png", (2, 2, 2))
    pictures = images(tmp_path)
    assert pictures.classes == ("cat", "dog")
    assert pictures.labels.tolist() == [0, 0, 0, 1]
    assert pictures.images[:, 0, 0, 0].tolist() == [2, 3, 4, 1]
    assert pictures.images.shape == (4, 3, 3, 4)


def test_a_flat_folder_is_one_class_of_its_name(tmp_path: Path) -> None:
    save(tmp_path / "photos" / "a.png")
    pictures = images(tmp_path / "photos")
    assert (pictures.classes, pictures.labels.tolist()) == (("photos",), [0])


def test_hidden_files_and_folders_are_skipped(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "a.png")
    (tmp_path / ".DS_Store").write_bytes(b"rubbish")
    (tmp_path / "cat" / ".a.png").write_bytes(b"rubbish")
    save(tmp_path / ".git" / "a.png")
    save(tmp_path / "cat" / ".thumbnails" / "a.png")
    assert len(images(tmp_path)) == 1


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tiff", "webp", "ppm"])
def test_every_format_of_pillow_is_read(suffix: str, tmp_path: Path) -> None:
    save(tmp_path / f"a.{suffix}", (255, 0, 0))
    red, green, blue = only(tmp_path)
    assert (red > 250, green < 5, blue < 5) == (True, True, True)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 7, [7, 7, 7]),
        ("1", 1, [255, 255, 255]),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
        ("RGBA", (0, 0, 0, 0), [255, 255, 255]),
        ("LA", (100, 0), [255, 255, 255]),
        ("I;16", 0xABCD, [0xAB, 0xAB, 0xAB]),
    ],
)
def test_modes_become_colours(mode: str, colour: object, expected: list[int], tmp_path: Path) -> None:
    save(tmp_path / "a.png", colour, mode=mode)
    assert only(tmp_path) == expected


def test_palettes_become_colours(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4), (200, 100, 50)).quantize().save(tmp_path / "a.png")
    assert only(tmp_path) == [200, 100, 50]


def test_one_channel_is_the_luminance(tmp_path: Path) -> None:
    save(tmp_path / "a.png", (200, 100, 50))
    assert only(tmp_path, channels=1) == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]


def test_pictures_are_turned_as_the_camera_says(tmp_path: Path) -> None:
    picture = Image.new("L", (2, 3))
    picture.putpixel((0, 0), 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row is the right-hand side
    picture.save(tmp_path / "a.png", exif=exif)
    turned = images(tmp_path, channels=1).images[0, 0]
    assert turned.nonzero().tolist() == [[0, 2]]
    assert turned.shape == (2, 3)


def test_size_covers_and_crops_about_the_centre(tmp_path: Path) -> None:
    stripes = np.zeros((10, 30), dtype=np.uint8)
    stripes[:, 10:20] = 200
    Image.fromarray(stripes).save(tmp_path / "wide.png")
    save(tmp_path / "square.png", 200, (20, 20), "L")
    assert images(tmp_path, size=10, channels=1).images.eq(200).all()
    assert images(tmp_path, size=(4, 6), channels=1).images.shape == (2, 1, 4, 6)


def test_different_sizes_need_a_size(tmp_path: Path) -> None:
    save(tmp_path / "a.png", size=(4, 3))
    save(tmp_path / "b.png", size=(5, 3))
    with pytest.raises(ValueError, match=r"b\.png has 3×5 pixels, but .*a\.png has 3×4\. Give `size`"):
        images(tmp_path)
    assert images(tmp_path, size=8).images.shape == (2, 3, 8, 8)


def test_a_file_that_is_no_picture_is_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("words")
    with pytest.raises(ValueError, match=r"notes\.txt is no picture that can be read"):
        images(tmp_path)


def test_a_picture_that_was_cut_off_is_named(tmp_path: Path) -> None:
    noise = torch.randint(256, (64, 64), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    Image.fromarray(noise.numpy()).save(tmp_path / "a.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"a\.png is no picture that can be read"):
        images(tmp_path)


def test_levels_of_unknown_range_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "float" / "a.tiff", 0.5, mode="F")
    with pytest.raises(ValueError, match="floating-point levels, whose range is unknown"):
        images(tmp_path / "float")
    save(tmp_path / "long" / "a.tiff", 70_000, mode="I")
    with pytest.raises(ValueError, match="levels from 70000 to 70000; at most 16 bits"):
        images(tmp_path / "long")


def test_folders_without_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`folder` must be a folder of pictures"):
        images(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="There is no picture in"):
        images(tmp_path)
    save(tmp_path / "cat" / "a.png")
    (tmp_path / "dog").mkdir()
    with pytest.raises(FileNotFoundError, match="There is no picture in dog"):
        images(tmp_path)


def test_pictures_beside_sub_folders_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "cat" / "a.png")
    save(tmp_path / "b.png")
    with pytest.raises(ValueError, match=r"has both pictures \(b\.png, \.\.\.\) and sub-folders \(cat"):
        images(tmp_path)


def test_senseless_arguments_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"`channels` must be 1 \(grey\) or 3"):
        images(tmp_path, channels=4)
    with pytest.raises(ValueError, match="`size` must be at least 1 pixel"):
        images(tmp_path, size=(0, 5))


def test_the_files_come_in_the_order_of_the_images(tmp_path: Path) -> None:
    for name in ("dog/b.png", "cat/deep/a.png", "dog/a.png"):
        save(tmp_path / name)
    files = [str(path.relative_to(tmp_path)) for path in picture_files(tmp_path)]
    assert files == ["cat/deep/a.png", "dog/a.png", "dog/b.png"]
    pictures = images(tmp_path)
    assert [pictures.classes[label] for label in pictures.labels] == [file.split("/")[0] for file in files]
