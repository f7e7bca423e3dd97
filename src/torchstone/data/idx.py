"""The idx format of MNIST and its heirs: a header of big-endian sizes, then bytes; plain or gzipped."""

import gzip
import math
import zlib
from pathlib import Path
from typing import BinaryIO

import torch
from jaxtyping import UInt8
from torch import Tensor

from torchstone.files import DamagedFileError

MAX_CONTENT = 1 << 26  # bytes; MNIST's pictures and Fashion-MNIST's have 47 million
GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 8


def read_content(source: Path, at_most: int = MAX_CONTENT) -> bytes:
    """The bytes of a file, unpacked if they are gzipped, whatever the file is called.

    Raises:
        DamagedFileError: the gzip stream is damaged or cut off, or there are more than ``at_most`` bytes.
    """
    with source.open("rb") as file:
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        content = _unpacked(file, source, at_most + 1) if packed else file.read(at_most + 1)
    if len(content) > at_most:
        raise DamagedFileError(f"{source} holds more than {at_most} bytes, too many for what it is. Get it again.")
    return content


def _unpacked(file: BinaryIO, source: Path, at_most: int) -> bytes:
    try:
        return gzip.GzipFile(fileobj=file).read(at_most)
    except (EOFError, OSError, zlib.error) as error:
        raise DamagedFileError(f"{source} is no whole gzip file ({error}). Get it again.") from error


def parse_idx(content: bytes, name: str = "the content") -> UInt8[Tensor, "..."]:
    r"""The array in the bytes of an idx file.

    Args:
        content: two zero bytes, the type (8: unsigned byte), the rank, each size in four bytes, then the values.
        name: what to call it in errors.

    Returns:
        A uint8 tensor of the rank and sizes in the header.

    Raises:
        DamagedFileError: this is no idx file of unsigned bytes, or its length is not what its header says.

    Example:
        >>> parse_idx(b"\x00\x00\x08\x01" + b"\x00\x00\x00\x03" + b"\x07\x08\x09")
        tensor([7, 8, 9], dtype=torch.uint8)
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE:
        raise DamagedFileError(f"{name} is no idx file of unsigned bytes: it starts with {content[:4].hex(' ')!r}.")
    start = 4 + 4 * content[3]
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    if len(content) - start != math.prod(sizes):
        raise DamagedFileError(
            f"{name} has {len(content)} bytes, but its header announces {start} + {math.prod(sizes)}. Get it again."
        )
    values = torch.frombuffer(bytearray(content), dtype=torch.uint8)[start:]
    return values.clone().view(sizes)
