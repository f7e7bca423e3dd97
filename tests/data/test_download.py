"""Downloads: whole and right, or not there at all."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import rich.style  # noqa: F401 (draws from Python's global generator when it is first imported)

from torchstone.data.download import download
from torchstone.files import DamagedFileError, sha256

CONTENT = bytes(range(256)) * 4096  # several chunks


@pytest.fixture
def source(tmp_path: Path) -> str:
    (tmp_path / "source").write_bytes(CONTENT)
    return (tmp_path / "source").as_uri()


@pytest.fixture
def broken_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Announces 1,000 bytes, sends 10, hangs up."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n0123456789")

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"
        thread.join()


def test_the_content_arrives(source: str, tmp_path: Path) -> None:
    download(source, tmp_path / "new" / "target", sha256=sha256(CONTENT))
    assert (tmp_path / "new" / "target").read_bytes() == CONTENT


def test_a_wrong_file_replaces_nothing(source: str, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    with pytest.raises(DamagedFileError, match="it was discarded"):
        download(source, tmp_path / "target", sha256=sha256(b"other"))
    assert (tmp_path / "target").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"source", "target"}


def test_a_connection_that_ends_early_is_said_to(broken_server: str, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="the connection ended after 10 of 1000 bytes"):
        download(broken_server, tmp_path / "target", sha256=sha256(CONTENT))
    assert not list(tmp_path.iterdir())


def test_a_target_that_cannot_be_written_is_said_to(source: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConnectionError, match=r"could not be downloaded: .*file"):
        download(source, tmp_path / "file" / "target", sha256=sha256(CONTENT))


def test_what_is_not_there_is_said_to(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="could not be downloaded"):
        download((tmp_path / "nothing").as_uri(), tmp_path / "target", sha256=sha256(CONTENT))
