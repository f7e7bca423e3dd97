"""The idx reader against bytes written by hand."""

import gzip
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.data.idx import parse_idx, read_content
from torchstone.files import DamagedFileError


def idx(sizes: list[int], values: bytes) -> bytes:
    return bytes([0, 0, 8, len(sizes)]) + b"".join(size.to_bytes(4, "big") for size in sizes) + values


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 255))
def test_every_shape_is_read_back(sizes: list[int], offset: int) -> None:
    expected = torch.arange(torch.Size(sizes).numel()).add(offset).remainder(256).to(torch.uint8)
    assert torch.equal(parse_idx(idx(sizes, bytes(expected.tolist()))), expected.view(sizes))


def test_sizes_are_big_endian_and_the_last_one_runs_fastest() -> None:
    assert parse_idx(idx([2, 3], bytes(range(6)))).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert parse_idx(idx([300], bytes(300))).shape == (300,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no idx file of unsigned bytes: it starts with ''"),
        (b"\x89PNG and more", "it starts with '89 50 4e 47'"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "it starts with '00 00 0d 01'"),
        (idx([2, 2], bytes(3)), r"has 15 bytes, but its header announces 12 \+ 4"),
        (idx([2, 2], bytes(5)), r"has 17 bytes, but its header announces 12 \+ 4"),
        (b"\x00\x00\x08\x03\x00\x00", "has 6 bytes, but its header announces 16"),
    ],
)
def test_other_content_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(DamagedFileError, match=message):
        parse_idx(content)


def test_files_are_unpacked_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "packed").write_bytes(gzip.compress(b"words"))
    (tmp_path / "plain.gz").write_bytes(b"words")
    assert read_content(tmp_path / "packed") == read_content(tmp_path / "plain.gz") == b"words"


@pytest.mark.parametrize("kept", [5, 15, 60, -8])
def test_a_gzip_file_that_was_cut_off_is_refused(kept: int, tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(bytes(range(256)))[:kept])
    with pytest.raises(DamagedFileError, match=r"cut\.gz is no whole gzip file"):
        read_content(tmp_path / "cut.gz")
