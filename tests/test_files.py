import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from torchstone import files

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([True, False]), "c": torch.empty(0, 3)}


def test_tensors_come_back_bit_for_bit(tmp_path: Path):
    digest = files.write_tensors(tmp_path / "t.safetensors", TENSORS)
    back = files.read_tensors(tmp_path / "t.safetensors", digest)
    assert back.keys() == TENSORS.keys()
    assert all(torch.equal(back[name], TENSORS[name]) and back[name].dtype == TENSORS[name].dtype for name in TENSORS)


def test_a_transposed_tensor_that_requires_grad_is_written_by_value(tmp_path: Path):
    weight = torch.arange(6.0).reshape(2, 3).requires_grad_()
    files.write_tensors(tmp_path / "t", {"w": weight.T})
    assert torch.equal(files.read_tensors(tmp_path / "t")["w"], weight.detach().T)


def test_tensors_that_share_memory_come_back_by_value(tmp_path: Path):
    x = torch.arange(12.0).reshape(4, 3)
    views = {"x": x, "again": x, "rows": x[1:3], "column": x[:, 1], "transposed": x.T, "none": x[4:], "nothing": x[:0]}
    for order in (list(views), list(reversed(views))):
        files.write_tensors(tmp_path / "t", {name: views[name] for name in order})
        back = files.read_tensors(tmp_path / "t")
        assert back.keys() == views.keys()
        assert all(torch.equal(back[name], views[name]) for name in views)


def test_a_type_that_safetensors_lacks_is_named(tmp_path: Path):
    with pytest.raises(TypeError, match=r"cannot hold tensors of the type torch\.complex128\. Convert them first"):
        files.write_tensors(tmp_path / "t", {"z": torch.zeros(2, dtype=torch.complex128)})
    assert not (tmp_path / "t").exists()


def test_sha256_is_the_standard_one():
    assert files.sha256(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-1], lambda content: content[:-1] + b"\x01", lambda _: b""]
)
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, damage: Callable[[bytes], bytes]):
    path = tmp_path / "t.safetensors"
    digest = files.write_tensors(path, TENSORS)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(files.DamagedFileError, match="safetensors is damaged"):
        files.read_tensors(path, digest)


@pytest.mark.parametrize("read", [files.read_tensors, files.read_metadata])
def test_what_is_no_safetensors_file_is_refused_without_a_checksum_too(tmp_path: Path, read: Callable[[Path], object]):
    (tmp_path / "t").write_bytes(b"not tensors")
    with pytest.raises(files.DamagedFileError, match="t is damaged or not a whole safetensors file"):
        read(tmp_path / "t")


def test_texts_come_back_beside_tensors(tmp_path: Path):
    files.write_bytes(tmp_path / "with", files.tensor_bytes(TENSORS, {"language": "Ελληνικά"}))
    files.write_tensors(tmp_path / "without", TENSORS)
    assert files.read_metadata(tmp_path / "with") == {"language": "Ελληνικά"}
    assert files.read_metadata(tmp_path / "without") == {}
    assert files.read_tensors(tmp_path / "with").keys() == TENSORS.keys()


def test_text_is_utf8_and_folders_are_made(tmp_path: Path):
    files.write_text(tmp_path / "deep" / "er" / "t.txt", "π")
    assert (tmp_path / "deep" / "er" / "t.txt").read_bytes() == "π".encode()


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    target = tmp_path / "t"
    files.write_text(target, "old")

    def fail() -> None:
        with files.atomic_path(target) as temporary:
            temporary.write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_directory_appears_only_when_its_block_has_ended(tmp_path: Path):
    target = tmp_path / "folder"
    with files.atomic_directory(target) as temporary:
        (temporary / "sub").mkdir()
        (temporary / "sub" / "t").write_text("x")
        assert not target.exists()
    assert (target / "sub" / "t").read_text() == "x"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_directory_leaves_nothing(tmp_path: Path):
    def fail() -> None:
        with files.atomic_directory(tmp_path / "folder") as temporary:
            (temporary / "t").write_text("half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_never_replaced(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError, match="Remove it first"), files.atomic_directory(tmp_path / "folder"):
        pass


def test_remove_directory_takes_all_of_it(tmp_path: Path):
    files.write_text(tmp_path / "folder" / "sub" / "t", "x")
    files.remove_directory(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []


def test_orphans_of_killed_writers_go_and_the_rest_stays(tmp_path: Path):
    files.write_text(tmp_path / "kept", "x")
    (tmp_path / f".t.{os.getpid()}.0{files.TEMPORARY_SUFFIX}").write_text("half")
    (tmp_path / f".store.2{files.TEMPORARY_SUFFIX}-wal").write_text("what a database has beside it")
    files.write_text(tmp_path / f".folder.1{files.TEMPORARY_SUFFIX}" / "t", "half")
    assert files.remove_temporaries(tmp_path) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_what_may_still_be_written_stays(tmp_path: Path):
    fresh, old = (tmp_path / f".{name}{files.TEMPORARY_SUFFIX}" for name in ("fresh", "old"))
    for path in (fresh, old):
        path.touch()
    os.utime(old, (0, 0))
    assert files.remove_temporaries(tmp_path, older_than=60) == 1
    assert list(tmp_path.iterdir()) == [fresh]
    assert files.remove_temporaries(tmp_path / "absent", older_than=60) == 0
