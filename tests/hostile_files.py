"""Make hostile files below a folder, give each to its reader, and print what came of it: ``hostile_files.py FOLDER``.

One line of JSON for each: its name, the error, CPU seconds, and by how many MiB the process grew at its peak.
"""

import gzip
import json
import pickle
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import torch
from PIL import Image

from torchstone.data import images, omniglot
from torchstone.data.idx import read_content
from torchstone.files import read_metadata, read_tensors
from torchstone.training import load_checkpoint

DRAWING = "images_background/Greek/character01/0001_01.png"


def png(side: int) -> bytes:
    """A PNG that announces side × side black pixels in some bytes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def archive(folder: Path, name: str, content: bytes, copies: int = 1) -> Path:
    folder.mkdir()
    with ZipFile(folder / "images_background.zip", "w", ZIP_DEFLATED) as made:
        for copy in range(copies):
            made.writestr(name.replace("0001", f"{copy:04d}"), content)
    return folder


def written(path: Path, content: bytes, length: int | None = None) -> Path:
    """A file, followed by a hole up to ``length``."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    if length is not None:
        with path.open("r+b") as file:
            file.truncate(length)
    return path


def tensors_header(count: int) -> bytes:
    header = {f"{number:06d}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for number in range(count)}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text


class Evil:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return sys.exit, ("a pickle was run",)


def torch_save(path: Path) -> Path:
    torch.save({"weight": torch.ones(2), "evil": Evil()}, path)
    return path


def checkpoint(folder: Path, manifest: bytes) -> Path:
    (folder / "step-00000001").mkdir(parents=True)
    (folder / "step-00000001" / "manifest.json").write_bytes(manifest)
    return folder


def attempts(root: Path) -> dict[str, Callable[[], object]]:
    """Each attempt with its files already made."""
    zip_bomb = archive(root / "zip bomb", DRAWING, bytes(1 << 28))
    many = archive(root / "many", DRAWING, bytes(1 << 20), copies=300)
    upwards = archive(root / "upwards", "../../../Greek/character01/0001_01.png", png(8))
    absolute = archive(root / "absolute", "/tmp/Greek/character01/0001_01.png", png(8))
    zipped = archive(root / "zipped png", DRAWING, png(5_000))
    pictures = [written(root / f"png {side}" / "a.png", png(side)).parent for side in (9_000, 60_000)]
    bomb = written(root / "bomb.gz", gzip.compress(bytes(1 << 28), 6))
    plain = written(root / "plain", b"\0\0\x08\x01", length=1 << 40)
    safe = {
        "pickle as weights": written(root / "a.pt", pickle.dumps(Evil())),
        "torch.save as weights": torch_save(root / "b.pt"),
        "huge header": written(root / "c", (1 << 40).to_bytes(8, "little"), length=1 << 41),
        "header beyond the end": written(root / "d", (1 << 20).to_bytes(8, "little") + b"{}"),
        "long header of rubbish": written(root / "e", (1 << 24).to_bytes(8, "little") + b"[" * (1 << 24)),
        "offsets beyond the end": written(root / "f", tensors_header(1).replace(b"[0, 0]", b"[0, 9]")),
        "many tensors with a tail": written(root / "g", tensors_header(100_000) + b"tail"),
        "zip as weights": zip_bomb / "images_background.zip",
    }
    manifests = {
        "pickle as manifest": checkpoint(root / "m1", pickle.dumps(Evil())),
        "nested manifest": checkpoint(root / "m2", b'{"manifest":' + b"[" * (1 << 20)),
        "manifest of 1 TiB": checkpoint(root / "m3", b"{"),
    }
    written(manifests["manifest of 1 TiB"] / "step-00000001" / "manifest.json", b"{", length=1 << 40)
    return {
        "zip bomb": lambda: omniglot(zip_bomb),
        "zip of many pictures": lambda: omniglot(many),
        "zip with a path upwards": lambda: omniglot(upwards),
        "zip with an absolute path": lambda: omniglot(absolute),
        "zipped picture of 25 million pixels": lambda: omniglot(zipped),
        "81 million pixels": lambda: images(pictures[0]),
        "3,600 million pixels": lambda: images(pictures[1]),
        "gzip bomb": lambda: read_content(bomb),
        "idx of 1 TiB": lambda: read_content(plain),
        **{name: lambda path=path: read_tensors(path) for name, path in safe.items()},  # type: ignore[misc]
        **{f"{name}, its metadata": lambda path=path: read_metadata(path) for name, path in safe.items()},  # type: ignore[misc]
        **{name: lambda folder=folder: load_checkpoint(folder) for name, folder in manifests.items()},  # type: ignore[misc]
    }


def memory(what: str) -> float:
    """VmRSS, or its peak, VmHWM, in MiB."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) / 1024


def main(root: Path) -> None:
    attempted = attempts(root)
    warnings.simplefilter("error")
    Image.init()
    for name, attempt in attempted.items():
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        before, started = memory("VmRSS"), time.process_time()
        try:
            told = f"no error: {attempt()!r}"
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
        print(json.dumps([name, told, time.process_time() - started, memory("VmHWM") - before]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
