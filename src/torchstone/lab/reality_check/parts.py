"""What a user brings: methods that fit and embed, and data that are split into folds and a test part."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import PurePath
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Embedder(Protocol[T_contra]):
    """A method with its settings, ready to learn; no base class is needed."""

    def fit(self, data: T_contra, *, steps: int) -> object:
        """Learn from ``data`` for ``steps`` steps of optimization. What it returns is not looked at."""

    def embed(self, data: T_contra) -> Tensor:
        """The embeddings of ``data``, (n, d) in floating point, one row for each example."""


@dataclass(frozen=True)
class Parts(Generic[T]):
    """Data that are split: what a ``split(data, folds)`` gives.

    Args:
        folds: for each fold what is trained on and what is selected on.
        test: what no fold contains.
    """

    folds: Sequence[tuple[T, T]]
    test: T


def classes_of(part: object) -> frozenset[int] | None:
    """The classes in a part: of its ``labels``, or of the second of a pair; ``None`` where there are no such labels.

    >>> sorted(classes_of((torch.zeros(3, 2), torch.tensor([4, 4, 1]))))
    [1, 4]
    """
    pair = isinstance(part, tuple | list) and len(part) == 2
    labels = part[1] if pair else getattr(part, "labels", None)  # type: ignore[index]
    if not isinstance(labels, Tensor | np.ndarray) or labels.ndim != 1:
        return None
    return frozenset(labels.tolist())


def fingerprint(data: object) -> str:
    """Sixteen hexadecimal digits that change with the tensors, arrays, numbers and texts in ``data``.

    It looks into tuples, lists, sets, mappings and dataclasses. Of a path it knows the name, of others the class.

    >>> fingerprint(torch.zeros(3)) == fingerprint(torch.zeros(3)), fingerprint([1]) == fingerprint([2])
    (True, False)
    """
    sha = hashlib.sha256()
    for piece in _pieces(data):
        sha.update(len(piece).to_bytes(8, "big") + piece)
    return sha.hexdigest()[:16]


def _pieces(data: Any) -> Iterator[bytes]:
    if isinstance(data, Tensor):
        yield f"{data.dtype} {tuple(data.shape)}".encode()
        yield data.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(data, np.ndarray) and not data.dtype.hasobject:
        yield f"{data.dtype} {data.shape}".encode()
        yield data.tobytes()
    elif isinstance(data, str | bytes | int | float | complex | bool | None | PurePath | np.generic):
        yield repr(data).encode()
    else:
        yield type(data).__qualname__.encode()
        for inner in _inside(data):
            yield from _pieces(inner)


def _inside(data: Any) -> Sequence[Any]:
    if isinstance(data, Mapping):
        return [each for item in data.items() for each in item]
    if isinstance(data, tuple | list):
        return data
    if isinstance(data, set | frozenset):
        return sorted(data, key=repr)
    if is_dataclass(data):
        return [getattr(data, each.name) for each in fields(data)]
    return ()
