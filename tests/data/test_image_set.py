"""Labelled images: bytes in, floats out, rows by position, mask or slice; nothing inconsistent gets in."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.data.image_set import ImageSet, positions, unit_floats

LEVELS = torch.arange(256, dtype=torch.uint8)


def image_set(n: int = 6) -> ImageSet:
    return ImageSet(torch.arange(n * 4, dtype=torch.uint8).view(n, 1, 2, 2), torch.arange(n) % 3, ("a", "b", "c"))


def test_levels_become_fractions_of_255() -> None:
    assert unit_floats(LEVELS).tolist() == pytest.approx([level / 255 for level in range(256)])
    assert unit_floats(LEVELS)[-1] == 1
    assert LEVELS[-1] == 255


def test_floats_of_some_rows_are_rows_of_all_floats() -> None:
    pictures = image_set()
    assert torch.equal(pictures.floats([4, 0]), pictures.floats()[[4, 0]])


def test_a_subset_keeps_classes_and_pairs() -> None:
    pictures = image_set()
    some = pictures.subset(pictures.labels == 2)
    assert (len(some), some.classes) == (2, ("a", "b", "c"))
    assert torch.equal(some.images, pictures.images[[2, 5]])
    assert some.labels.tolist() == [2, 2]


def test_a_subset_may_be_empty() -> None:
    assert len(image_set().subset([])) == 0


@given(st.lists(st.integers(-7, 6), max_size=10))
def test_positions_mean_what_they_mean_in_python(index: list[int]) -> None:
    assert positions(index, 7).tolist() == [range(7)[i] for i in index]


@given(st.lists(st.booleans(), min_size=1, max_size=10))
def test_a_mask_means_the_positions_where_it_is_true(mask: list[bool]) -> None:
    assert positions(mask, len(mask)).tolist() == [i for i, chosen in enumerate(mask) if chosen]


@given(st.slices(7))
def test_a_slice_means_what_it_means_in_python(part: slice) -> None:
    if part.step is None or part.step > 0:
        assert positions(part, 7).tolist() == list(range(7))[part]


def test_ranges_arrays_and_bytes_are_positions() -> None:
    assert positions(range(2, 4), 5).tolist() == [2, 3]
    assert positions(torch.tensor([3, 1], dtype=torch.int32), 5).tolist() == [3, 1]
    assert positions(torch.tensor([1, 1], dtype=torch.uint8), 2).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        ([0, 7], IndexError, "must lie between -7 and 6, but reaches from 0 to 7"),
        ([-8], IndexError, "must lie between -7 and 6"),
        (3, ValueError, r"vector of positions or a mask, but is 3\. For one row, write \[3\]"),
        ("dog", ValueError, "vector of positions or a mask, but is 'dog'"),
        ([0.5], ValueError, "vector of positions or a mask, but is torch.float32"),
        ([[0], [1]], ValueError, r"of shape \(2, 1\)"),
        ([True, False], ValueError, "a mask of 2 entries for 7 rows"),
    ],
)
def test_other_indices_are_refused(index: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        positions(index, 7)


def test_inconsistent_parts_are_refused() -> None:
    images, labels = torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.tensor([0, 1])
    with pytest.raises(ValueError, match=r"`images` must be a uint8 tensor .* but is torch.float32"):
        ImageSet(images.float(), labels, ("a", "b"))
    with pytest.raises(ValueError, match=r"`images` must be .* shape \(2, 4, 4\)"):
        ImageSet(images[:, 0], labels, ("a", "b"))
    with pytest.raises(ValueError, match="one label for each of the 2 images"):
        ImageSet(images, labels[:1], ("a", "b"))
    with pytest.raises(ValueError, match="an int64 tensor"):
        ImageSet(images, labels.to(torch.int32), ("a", "b"))
    with pytest.raises(ValueError, match="must lie between 0 and 0"):
        ImageSet(images, labels, ("a",))
    with pytest.raises(ValueError, match="lie between -1 and 0"):
        ImageSet(images, labels - 1, ("a", "b"))
