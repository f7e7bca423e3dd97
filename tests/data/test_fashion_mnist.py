"""Fashion-MNIST: where it is looked for, what is checked, how it is downloaded (from a server in the test)."""

import gzip
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import rich.style  # noqa: F401 (draws from Python's global generator when it is first imported)
import torch
from tests.conftest import need

from torchstone.data import fashion_mnist
from torchstone.files import DamagedFileError, sha256

module = sys.modules[fashion_mnist.__module__]
PIXELS = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3]) + bytes(range(12))
LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 2, 9, 3])


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def files() -> dict[str, bytes]:
    """A train split of two pictures of 2×3 pixels, packed."""
    contents = {"train-images-idx3-ubyte.gz": PIXELS, "train-labels-idx1-ubyte.gz": LABELS}
    return {name: gzip.compress(content, mtime=0) for name, content in contents.items()}


def put(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(autouse=True)
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small files in place of the official ones, and none of them on this machine."""
    packed = files()
    train = tuple(
        module.File(
            name.removesuffix(".gz"), packed=sha256(packed[name]), content=sha256(gzip.decompress(packed[name]))
        )
        for name in packed
    )
    monkeypatch.setattr(module, "FILES", {"train": train})
    monkeypatch.setattr(module, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(module, "SERVER", "http://127.0.0.1:9")  # nobody answers there
    monkeypatch.setenv("TORCHSTONE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TORCHSTONE_DATA", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A web server on this machine; yields the folder that it serves."""
    folder = put(tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=partial(http.serve_forever, poll_interval=0.02))
        thread.start()
        monkeypatch.setattr(module, "SERVER", f"http://127.0.0.1:{http.server_port}")
        yield folder
        http.shutdown()
        thread.join()


def test_pixels_and_labels_are_those_of_the_files(tmp_path: Path) -> None:
    pictures = fashion_mnist(put(tmp_path / "mine"))
    assert pictures.images.flatten().tolist() == list(range(12))
    assert pictures.images.shape == (2, 1, 2, 3)
    assert [pictures.classes[label] for label in pictures.labels] == ["Ankle boot", "Dress"]


@pytest.mark.parametrize("subfolder", ["", "fashion-mnist", "FashionMNIST/raw"])
def test_the_chosen_folders_and_their_usual_sub_folders_are_looked_into(
    subfolder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "mine" / subfolder)
    assert len(fashion_mnist(tmp_path / "mine", download=False)) == 2
    monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path / "mine"))
    assert len(fashion_mnist(download=False)) == 2


@pytest.mark.parametrize("place", ["debian", "cache/fashion-mnist"])
def test_debians_folder_and_the_cache_are_looked_into(place: str, tmp_path: Path) -> None:
    put(tmp_path / place)
    assert len(fashion_mnist(download=False)) == 2


def test_the_first_place_that_has_the_file_wins(tmp_path: Path) -> None:
    put(tmp_path / "mine")
    put(tmp_path / "debian")
    (tmp_path / "debian" / "train-images-idx3-ubyte.gz").write_bytes(b"damaged")
    assert len(fashion_mnist(tmp_path / "mine")) == 2


def test_plain_files_are_read_too(tmp_path: Path) -> None:
    (tmp_path / "train-images-idx3-ubyte").write_bytes(PIXELS)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(LABELS)
    assert len(fashion_mnist(tmp_path)) == 2


def test_files_of_another_data_set_are_noticed(tmp_path: Path) -> None:
    put(tmp_path / "mnist")
    (tmp_path / "mnist" / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(LABELS[:-1] + b"\x04"))
    with pytest.raises(DamagedFileError, match=r"is not Fashion-MNIST's train-labels-idx1-ubyte.* same names"):
        fashion_mnist(tmp_path / "mnist")


def test_what_is_missing_is_downloaded_once(server: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = fashion_mnist()
    assert {path.name for path in (tmp_path / "cache" / "fashion-mnist").iterdir()} == set(files())
    for path in server.iterdir():
        path.unlink()
    assert torch.equal(fashion_mnist().images, pictures.images)
    assert capsys.readouterr().out == ""


def test_a_download_with_another_hash_is_discarded(server: Path, tmp_path: Path) -> None:
    (server / "train-images-idx3-ubyte.gz").write_bytes(b"a page that says log in first")
    with pytest.raises(DamagedFileError, match=r"but .* was expected; it was discarded"):
        fashion_mnist()
    assert not list((tmp_path / "cache" / "fashion-mnist").iterdir())


def test_offline_the_error_names_the_three_ways(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        fashion_mnist()
    words = str(caught.value)
    assert "could not be downloaded" in words
    for way in ("apt install dataset-fashion-mnist", "TORCHSTONE_DATA", "machine with internet"):
        assert way in words
    assert not list((tmp_path / "cache" / "fashion-mnist").iterdir())


def test_a_server_without_the_file_is_as_good_as_none(server: Path) -> None:
    (server / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"HTTP Error 404.*three ways"):
        fashion_mnist()


def test_without_leave_nothing_is_downloaded(server: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="`download` is False"):
        fashion_mnist(download=False)
    assert not (tmp_path / "cache").exists()


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 'train' or 'test', but is 'valid'"):
        fashion_mnist(split="valid")  # type: ignore[arg-type]


def test_the_debian_package_holds_the_official_content(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    need(module.DEBIAN.is_dir(), "the Debian package dataset-fashion-mnist is not installed")
    pictures = fashion_mnist(module.DEBIAN, split="test", download=False)
    assert pictures.images.shape == (10_000, 1, 28, 28)
    assert pictures.labels.bincount().tolist() == [1000] * 10
