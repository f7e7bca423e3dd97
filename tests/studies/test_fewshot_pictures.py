"""The pictures of the claims about few-shot classification."""

from itertools import combinations
from pathlib import Path

import pytest
import torch
from PIL import Image

from torchstone.data import ImageSet, glyphs
from torchstone.lab import Unavailable
from torchstone.studies.fewshot.pictures import (
    ALPHABETS,
    cifar_fs_pictures,
    glyph_pictures,
    mini_imagenet_pictures,
    omniglot_pictures,
    turned,
)
from torchstone.studies.pictures import distinct


def write_omniglot(root: Path, alphabets: tuple[str, ...]) -> None:
    """Two characters an alphabet, two drawers each, every drawing another grey."""
    grey = 0
    for alphabet in alphabets:
        for character in ("character01", "character02"):
            folder = root / "omniglot" / "images_background" / alphabet / character
            folder.mkdir(parents=True)
            for drawer in ("01", "02"):
                grey += 1
                Image.new("L", (105, 105), grey).save(folder / f"0001_{drawer}.png")


class TestGlyphs:
    def test_no_class_and_no_drawing_is_in_two_parts(self) -> None:
        pictures = glyph_pictures(0, 28)
        parts = (pictures.base, pictures.validation, pictures.novel)
        assert [len(part.classes) for part in parts] == [619, 103, 310]
        for one, other in combinations(parts, 2):
            assert not set(one.classes) & set(other.classes)
        letters = glyphs()
        chosen = [letters.classes.index(name) for part in parts for name in part.classes]
        drawings = letters.images[chosen].flatten(2).flatten(0, 1)
        assert len(torch.unique(drawings, dim=0)) == len(drawings)

    def test_another_split_has_other_novel_classes_and_the_same_split_the_same_pictures(self) -> None:
        first, again, other = glyph_pictures(0, 16), glyph_pictures(0, 16), glyph_pictures(1, 16)
        assert torch.equal(first.novel.images, again.novel.images)
        assert len(set(first.novel.classes) & set(other.novel.classes)) < 200
        assert first.novel.images.shape[2:] == (16, 16)

    def test_novel_pictures_are_jittered_and_base_pictures_are_not(self) -> None:
        pictures, letters = glyph_pictures(0, 28), glyphs()
        for part, same in ((pictures.base, True), (pictures.novel, False), (pictures.validation, False)):
            plain = letters.images[letters.classes.index(part.classes[0]), 0]
            assert torch.equal(part.images[0, 0], plain) == same


class TestOmniglot:
    def test_alphabets_are_not_shared_and_base_characters_are_turned(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_omniglot(tmp_path, (*ALPHABETS, "Klingon"))
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        pictures = omniglot_pictures(0, 28)
        parts = (pictures.base, pictures.validation, pictures.novel)
        assert [(len(part.classes), len(part)) for part in parts] == [(32, 64), (4, 8), (4, 8)]
        alphabets = [{name.partition("/")[0] for name in part.classes} for part in parts]
        assert sum(map(len, alphabets)) == len(set().union(*alphabets)) == 8
        assert set().union(*alphabets) == set(ALPHABETS)
        assert pictures.novel.labels.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]

    def test_each_name_stays_with_its_pictures(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write_omniglot(tmp_path, ALPHABETS)
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        novel = omniglot_pictures(0, 28).novel
        for image, label in zip(novel.images, novel.labels.tolist(), strict=True):
            alphabet, character = novel.classes[label].split("/")
            first = 1 + 4 * ALPHABETS.index(alphabet) + 2 * (character == "character02")
            assert 255 - int(image[0, 0, 0]) in (first, first + 1)

    def test_without_the_data_it_says_what_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        with pytest.raises(Unavailable, match="Set TORCHSTONE_DATA"):
            omniglot_pictures(0, 28)
        write_omniglot(tmp_path, ALPHABETS[1:])
        with pytest.raises(Unavailable, match="lacks the alphabets Balinese"):
            omniglot_pictures(0, 28)


class TestFolders:
    def test_the_users_pictures_are_read_at_the_size_asked_for(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for part in ("train", "val", "test"):
            (tmp_path / "cifar_fs" / part / f"{part}-cats").mkdir(parents=True)
            Image.new("RGB", (40, 30), (9, 9, 9)).save(tmp_path / "cifar_fs" / part / f"{part}-cats" / "one.png")
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        pictures = cifar_fs_pictures(0, 32)
        assert pictures.base.images.shape == (1, 3, 32, 32)
        assert pictures.novel.classes == ("test-cats",)
        assert pictures.augment(pictures.base.floats(), torch.Generator().manual_seed(0)).shape == (1, 3, 32, 32)

    def test_without_the_data_it_says_what_is_missing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        with pytest.raises(Unavailable, match="mini_imagenet/val"):
            mini_imagenet_pictures(0, 84)


def test_a_class_with_a_repeated_drawing_is_not_distinct() -> None:
    drawings = torch.arange(8, dtype=torch.uint8).view(4, 2, 1, 1).clone()
    drawings[1, 1] = drawings[1, 0]
    drawings[3, 0] = drawings[2, 1]
    assert distinct(drawings).tolist() == [True, False, False, False]


def test_turned_classes_are_four_times_as_many() -> None:
    corner = torch.tensor([[1, 2], [3, 4]], dtype=torch.uint8)[None, None]
    four = turned(ImageSet(corner, torch.tensor([0]), ("a",)))
    assert four.labels.tolist() == [0, 1, 2, 3]
    assert four.images[:, 0, 0, 0].tolist() == [1, 2, 4, 3]
    assert four.classes == ("a", "a, turned 90°", "a, turned 180°", "a, turned 270°")
