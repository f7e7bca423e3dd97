"""Fashion-MNIST: 70,000 grey 28×28 pictures of clothes in 10 classes."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import torch

from torchstone.cache import cache_folder
from torchstone.data.download import download as fetch
from torchstone.data.idx import parse_idx, read_content
from torchstone.data.image_set import ImageSet
from torchstone.files import DamagedFileError, sha256

SERVER = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"  # has no https: the hashes below make it safe
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
SUBFOLDERS = ("", "fashion-mnist", "FashionMNIST/raw")  # the last is where torchvision keeps them
CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


class File(NamedTuple):
    """A file of the data set: its name without ``.gz``, and the SHA-256 of the official gzip and of what is in it.

    The hashes are those of the bytes that have the MD5 sums in the data set's README. Debian's files hold the same
    content under another gzip header.
    """

    name: str
    packed: str
    content: str


FILES: Mapping[str, tuple[File, File]] = {
    "train": (
        File(
            "train-images-idx3-ubyte",
            packed="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            content="c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        ),
        File(
            "train-labels-idx1-ubyte",
            packed="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            content="bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        ),
    ),
    "test": (
        File(
            "t10k-images-idx3-ubyte",
            packed="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            content="5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        ),
        File(
            "t10k-labels-idx1-ubyte",
            packed="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            content="0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        ),
    ),
}


def fashion_mnist(
    root: str | Path | None = None, *, split: Literal["train", "test"] = "train", download: bool = True
) -> ImageSet:
    """Read Fashion-MNIST, from this machine if it is here, else from the internet.

    Looks for its four files, gzipped or plain, in ``root``, in ``$TORCHSTONE_DATA``, in Debian's
    ``/usr/share/datasets/fashion-mnist`` and in the cache; then downloads the official files into the cache. Every file
    is checked against the SHA-256 of its official content, so MNIST's files, which have the same names, are noticed.

    Args:
        root: folder of the files.
        split: ``"train"`` (60,000 pictures) or ``"test"`` (10,000).
        download: whether the internet may be asked.

    Returns:
        Images (n, 1, 28, 28) with their labels.

    Raises:
        FileNotFoundError: the files are not here and cannot be had.
        DamagedFileError: a file has another content than the official one.
        ValueError: ``split`` is unknown.

    Paper:
        Xiao, Rasul, Vollgraf, 2017, arXiv:1708.07747.
    """
    if split not in FILES:
        raise ValueError(f"`split` must be 'train' or 'test', but is {split!r}.")
    pixels, labels = (_read(file, root, download) for file in FILES[split])
    return ImageSet(pixels.unsqueeze(1), labels.to(torch.int64), CLASSES)


def _read(file: File, root: str | Path | None, download: bool) -> torch.Tensor:
    path = next(_candidates(file.name, root), None) or _obtain(file, download)
    content = read_content(path)
    if sha256(content) != file.content:
        raise DamagedFileError(
            f"{path} is not Fashion-MNIST's {file.name}: its content has another SHA-256. It is damaged, or it is of "
            f"another data set (MNIST's files have the same names). Move it away."
        )
    return parse_idx(content, str(path))


def _candidates(name: str, root: str | Path | None) -> Iterator[Path]:
    """Where the file is on this machine, first choice first."""
    chosen = [Path(place) for place in (root, os.environ.get("TORCHSTONE_DATA")) if place]
    folders = [place / subfolder for place in chosen for subfolder in SUBFOLDERS] + [DEBIAN, _cache()]
    paths = (folder / f"{name}{suffix}" for folder in folders for suffix in (".gz", ""))
    return (path for path in paths if path.is_file())


def _obtain(file: File, allowed: bool) -> Path:
    target = _cache() / f"{file.name}.gz"
    if not allowed:
        raise FileNotFoundError(_help(file, "`download` is False"))
    try:
        fetch(f"{SERVER}/{file.name}.gz", target, sha256=file.packed)
    except ConnectionError as error:
        raise FileNotFoundError(_help(file, str(error))) from error
    return target


def _cache() -> Path:
    return cache_folder() / "fashion-mnist"


def _help(file: File, reason: str) -> str:
    return (
        f"Fashion-MNIST's {file.name}.gz is not on this machine ({reason}). There are three ways to get it: "
        f"(1) on Debian or Ubuntu, apt install dataset-fashion-mnist; "
        f"(2) put the four files of https://github.com/zalandoresearch/fashion-mnist (folder data/fashion) into a "
        f"folder and name it in `root` or in TORCHSTONE_DATA; "
        f"(3) run once on a machine with internet and copy {_cache()} here."
    )
