"""Weights of a user's own model, from a safetensors file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from torchstone.cli.common import UsageError

if TYPE_CHECKING:
    from torch import Tensor, nn

NAMED = 6  # keys that an error lists before it only counts the rest


def load_weights(model: "nn.Module", path: Path | None, spec: str) -> None:
    """Fill ``model`` from a safetensors file; of tied tensors, which share memory, the file may hold one only.

    Raises:
        UsageError: the file is missing, is not safetensors, or does not fit the model.
    """
    if path is None:
        return
    from torchstone.files import read_tensors

    with readable_weights(path):
        tensors = read_tensors(path)
    expected = model.state_dict()
    absent, unexpected = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    held = [tensor for name, tensor in expected.items() if name in tensors]
    missing = [name for name in absent if not any(_fills(tensor, expected[name]) for tensor in held)]
    if missing or unexpected:
        raise UsageError(
            f"{path} does not fit the model of '{spec}': missing {_listed(missing)}; unexpected {_listed(unexpected)}."
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            shapes = f"{tuple(tensor.shape)} in the file, {tuple(expected[name].shape)} in the model"
            raise UsageError(f"{path} does not fit the model of '{spec}': '{name}' is {shapes}.")
    model.load_state_dict(tensors, strict=False)  # all that is absent is tied to what is there


@contextmanager
def readable_weights(path: Path) -> Iterator[None]:
    """Turn it into a :class:`UsageError` that ``path``, which is read meanwhile, is missing or no safetensors file."""
    from torchstone.files import DamagedFileError

    if not path.is_file():
        raise UsageError(f"There are no weights at {path}.")
    try:
        yield
    except DamagedFileError as error:
        raise UsageError(
            f"{path} is not a safetensors file. Torchstone reads no pickle, which could run code. Convert your own: "
            "`from safetensors.torch import save_file; save_file(model.state_dict(), 'a.safetensors')`."
        ) from error


def _fills(whole: "Tensor", part: "Tensor") -> bool:
    """Whether writing all of ``whole`` writes all of ``part``, since that lies in the same memory."""
    start, end = _span(whole)
    first, last = _span(part)
    dense = end - start == whole.numel() * whole.element_size()
    return dense and start <= first < last <= end


def _span(tensor: "Tensor") -> tuple[int, int]:
    """The addresses where a tensor begins and ends."""
    steps = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    start = tensor.data_ptr()
    return start, start + (steps + 1) * tensor.element_size()


def _listed(keys: list[str]) -> str:
    if not keys:
        return "nothing"
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(keys[:NAMED]) + more
