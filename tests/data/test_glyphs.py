"""Glyphs: what they look like, which are left out, how they split, and what the cache survives."""

import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

import pytest
import torch

from torchstone.data import Glyphs, glyphs
from torchstone.data import glyphs as function
from torchstone.data.glyph_rendering import CATEGORIES, without_homoglyphs

module = sys.modules[function.__module__]


@pytest.fixture(scope="module")
def letters() -> Glyphs:
    return glyphs()


def small_render(fonts: list[Path]) -> tuple[torch.Tensor, torch.Tensor]:
    """A stand-in for the slow rendering: as many classes as are needed, each with its own grey."""
    n = module.FEWEST_CLASSES
    greys = torch.arange(n).remainder(256).to(torch.uint8)
    return torch.arange(n) + 65, greys.view(n, 1, 1, 1).expand(n, len(fonts), 28, 28).contiguous()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Rendering made quick; the list grows by one entry for each rendering."""
    calls: list[int] = []

    def render(fonts: list[Path]) -> tuple[torch.Tensor, torch.Tensor]:
        calls.append(1)
        return small_render(fonts)

    monkeypatch.setattr("torchstone.data.glyph_rendering.render", render)
    return calls


def test_there_are_some_1500_classes_in_12_faces(letters: Glyphs) -> None:
    assert 1400 < len(letters.classes) < 1700
    assert letters.images.shape == (len(letters.classes), 12, 28, 28)
    assert len(set(letters.classes)) == len(letters.classes)
    assert len(set(letters.faces)) == 12


def test_classes_are_letters_digits_and_symbols_in_order(letters: Glyphs) -> None:
    assert {unicodedata.category(character) for character in letters.classes} <= CATEGORIES
    assert list(letters.classes) == sorted(letters.classes)
    assert set("ABCDEFGHabdefghkmnqrt23456789") <= set(letters.classes)


def test_ink_is_20_pixels_long_and_in_the_middle(letters: Glyphs) -> None:
    ink = letters.images > 0
    rows, columns = ink.any(3), ink.any(2)
    first = {"y": rows.to(torch.uint8).argmax(2), "x": columns.to(torch.uint8).argmax(2)}
    last = {"y": 27 - rows.flip(2).to(torch.uint8).argmax(2), "x": 27 - columns.flip(2).to(torch.uint8).argmax(2)}
    extent = torch.stack([last[axis] - first[axis] + 1 for axis in "yx"])
    assert extent.amax(0).eq(20).all()
    middle = torch.stack([first[axis] + last[axis] for axis in "yx"])
    assert middle.sub(27).abs().max() <= 1


def test_faces_are_different_drawings_of_the_same_character(letters: Glyphs) -> None:
    number = letters.classes.index("R")
    assert all(not torch.equal(a, b) for a, b in combinations(letters.images[number], 2))
    bold = [face.partition("-")[2].startswith("Bold") for face in letters.faces]
    weight = letters.images.float().mean((0, 2, 3))
    assert weight[torch.tensor(bold)].mean() > 1.2 * weight[~torch.tensor(bold)].mean()


def test_characters_that_look_the_same_are_one_class(letters: Glyphs) -> None:
    for latin, *others in ("AΑА", "BΒВ", "EΕЕ", "HΗН", "aа", "eе", "oοо"):
        assert latin in letters.classes
        assert not set(others) & set(letters.classes)


def test_no_two_classes_look_the_same_in_most_faces(letters: Glyphs) -> None:
    chosen = letters.images[:200].double().flatten(2)
    unit = chosen / chosen.norm(dim=2, keepdim=True)
    likeness = torch.einsum("ifp,jfp->ijf", unit, unit).median(dim=2).values.fill_diagonal_(0)
    assert likeness.max() <= 0.95


def test_a_homoglyph_of_a_dropped_class_is_kept() -> None:
    angles = torch.deg2rad(torch.tensor([0.0, 15.0, 30.0]))  # neighbours: cosine .966; the ends: .866
    pictures = (200 * torch.stack([angles.cos(), angles.sin()], 1)).to(torch.uint8).view(3, 1, 1, 2)
    assert without_homoglyphs(pictures, 0.95).tolist() == [True, False, True]


def test_more_than_half_of_the_faces_must_agree() -> None:
    same, other = torch.tensor([[200, 0]]), torch.tensor([[0, 200]])
    half = torch.stack([torch.stack([same, same]), torch.stack([same, other])]).to(torch.uint8)
    most = torch.stack([torch.stack([same, same, same]), torch.stack([same, same, other])]).to(torch.uint8)
    assert without_homoglyphs(half).tolist() == [True, True]
    assert without_homoglyphs(most).tolist() == [True, False]


def test_an_image_set_takes_classes_and_faces_and_numbers_them_anew(letters: Glyphs) -> None:
    pictures = letters.image_set(classes=[50, 7, 9], faces=[3, 0])
    assert pictures.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert pictures.classes == tuple(letters.classes[i] for i in (50, 7, 9))
    assert torch.equal(pictures.images[2, 0], letters.images[7, 3])
    assert torch.equal(pictures.images[5, 0], letters.images[9, 0])


def test_image_sets_split_without_overlap(letters: Glyphs) -> None:
    rare = torch.tensor([character > "z" for character in letters.classes])
    common, others = letters.image_set(classes=~rare), letters.image_set(classes=rare)
    assert not set(common.classes) & set(others.classes)
    assert len(common) + len(others) == len(letters.image_set()) == 12 * len(letters.classes)
    with pytest.raises(IndexError, match="`faces` must lie between -12 and 11"):
        letters.image_set(faces=[12])


def test_the_second_call_reads_the_cache(quick: list[int], tmp_path: Path) -> None:
    first, second = glyphs(cache=tmp_path), glyphs(cache=tmp_path)
    assert len(quick) == 1
    assert torch.equal(first.images, second.images)
    assert (first.classes, first.version) == (second.classes, second.version)


def test_the_version_is_that_of_the_class_list(
    quick: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = glyphs(cache=tmp_path).version
    codepoints, images = small_render(list(range(12)))  # type: ignore[arg-type]
    monkeypatch.setattr("torchstone.data.glyph_rendering.render", lambda fonts: (codepoints, 255 - images))
    assert glyphs(cache=tmp_path / "other pixels").version == before
    monkeypatch.setattr("torchstone.data.glyph_rendering.render", lambda fonts: (codepoints + 1, images))
    assert glyphs(cache=tmp_path / "other classes").version != before


def test_processes_may_render_at_once(quick: list[int], tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: glyphs(cache=tmp_path), range(8)))
    assert all(torch.equal(result.images, results[0].images) for result in results)
    assert len(list(tmp_path.iterdir())) == 1


def damage_end(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def empty(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [damage_end, cut, empty])
def test_a_damaged_cache_is_rendered_again(damage: object, quick: list[int], tmp_path: Path) -> None:
    whole = glyphs(cache=tmp_path)
    (stored,) = tmp_path.iterdir()
    stored.write_bytes(damage(stored.read_bytes()))  # type: ignore[operator]
    assert torch.equal(glyphs(cache=tmp_path).images, whole.images)
    assert len(quick) == 2
    glyphs(cache=tmp_path)
    assert len(quick) == 2


def test_other_fonts_or_another_recipe_have_another_cache(
    quick: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glyphs(cache=tmp_path)
    monkeypatch.setattr(module, "RECIPE", module.RECIPE + 1)
    glyphs(cache=tmp_path)
    fonts = module._fonts()
    monkeypatch.setattr(module, "_fonts", lambda: fonts[::-1])
    glyphs(cache=tmp_path)
    assert len(quick) == len(list(tmp_path.iterdir())) == 3


def test_the_cache_folder_is_the_users_choice(
    quick: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHSTONE_CACHE", str(tmp_path / "chosen"))
    glyphs()
    assert len(list((tmp_path / "chosen").iterdir())) == 1
    monkeypatch.delenv("TORCHSTONE_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    glyphs()
    assert len(list((tmp_path / ".cache" / "torchstone").iterdir())) == 1


def test_a_cache_that_cannot_be_written_costs_a_warning_only(quick: list[int], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="Set TORCHSTONE_CACHE"):
        letters = glyphs(cache=tmp_path / "file" / "below")
    assert len(letters.classes) == module.FEWEST_CLASSES


def test_too_few_classes_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codepoints, images = small_render(list(range(12)))  # type: ignore[arg-type]
    monkeypatch.setattr("torchstone.data.glyph_rendering.render", lambda fonts: (codepoints[1:], images[1:]))
    with pytest.raises(RuntimeError, match="gave 999 glyph classes, but at least 1000 were expected"):
        glyphs(cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_fonts_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FACES", ("DejaVuSans", "Nonesuch"))
    with pytest.raises(FileNotFoundError, match=r"lacks Nonesuch\.ttf: install matplotlib again"):
        glyphs(cache=tmp_path)
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install matplotlib"):
        glyphs(cache=tmp_path)


def test_reading_the_cache_imports_neither_matplotlib_nor_pillows_plugins(letters: Glyphs) -> None:
    code = (
        "import sys; from torchstone.data import glyphs; glyphs();"
        "print(sorted({'matplotlib', 'PIL.Image', 'sklearn', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
