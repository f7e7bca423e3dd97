"""``torchstone compare``: all layers of one model against all layers of another, on a folder of pictures."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from torchstone.cli.common import UsageError, check_writable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from torchstone.similarity import Comparison

PICTURES = (".html", ".png", ".svg")
NAMED = 6  # keys that an error lists before it only counts the rest


@dataclass(frozen=True)
class Compare:
    """Compare two models of your own, layer by layer, on your own pictures; the heat map goes into a file."""

    a: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODULE:FUNCTION")]
    """makes the first model, such as `my_models:build_a`; imported from the current directory too"""
    b: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODULE:FUNCTION")]
    """makes the second model"""
    data: Path
    """folder of pictures"""
    weights_a: Path | None = None
    """safetensors file for the first model; without it, the model as the function makes it"""
    weights_b: Path | None = None
    """safetensors file for the second model"""
    out: Path = Path("comparison.html")
    """where the heat map goes: .html (a page with all metrics and tables), .png or .svg (the first metric)"""
    save: Path | None = None
    """also keep the numbers, in a safetensors file for `Comparison.load`"""
    layers_a: tuple[str, ...] = ()
    """names or patterns such as 'blocks.*.conv'; by default every leaf module"""
    layers_b: tuple[str, ...] = ()
    """the same for the second model"""
    metrics: tuple[str, ...] = ("cka",)
    """such as cka, cka_rbf, cka_biased, hsic, procrustes, linear_regression, svcca_r2"""
    reduce: str = "flatten"
    """how a layer's output becomes a matrix: flatten, mean, gap, cls, tokens, spatial, or the index of a token"""
    batch_size: int = 64
    """pictures at a time"""
    size: int = 32
    """side of the pictures in pixels"""
    channels: int = 3
    """1 for grey, 3 for colour"""
    device: str = "cpu"
    """such as cpu or cuda"""

    def run(self) -> int:
        """Compare, write the picture and print what was found; returns the exit code."""
        from torchstone.similarity import compare_models

        if self.out.suffix not in PICTURES:
            raise UsageError(f"--out {self.out} must end in {', '.join(PICTURES[:-1])} or {PICTURES[-1]}.")
        for file, option in ((self.out, "--out"), (self.save, "--save")):
            if file is not None:
                check_writable(file.parent, option)
        a, b = build(self.a), build(self.b)
        load_weights(a, self.weights_a, self.a)
        load_weights(b, self.weights_b, self.b)
        pictures = self._pictures()
        reduce = int(self.reduce) if self.reduce.removeprefix("-").isdecimal() else self.reduce
        try:
            with _notes():
                comparison = compare_models(
                    a.to(self.device),
                    b.to(self.device),
                    pictures,
                    self.layers_a or None,
                    self.layers_b or None,
                    self.metrics,
                    reduce,
                    batch_size=self.batch_size,
                )
        except (
            ValueError,
            KeyError,
            TypeError,
            RuntimeError,
            AssertionError,
        ) as error:  # torch asserts that it has CUDA
            raise UsageError(f"The models could not be compared: {error}") from error
        comparison = replace(comparison, model_a=self.a, model_b=self.b)
        self._write(comparison)
        print(comparison)
        print(f"Picture: {self.out}")
        return 0

    def _pictures(self) -> "Tensor":
        from torchstone.data import images

        try:
            return images(self.data, size=self.size, channels=self.channels).floats()
        except (FileNotFoundError, ValueError) as error:
            raise UsageError(f"--data {self.data}: {error}") from error

    def _write(self, comparison: "Comparison") -> None:
        from torchstone.files import atomic_path, write_text
        from torchstone.pictures import svg

        if self.out.suffix == ".html":
            comparison.to_html(self.out)
        elif self.out.suffix == ".svg":
            write_text(self.out, svg(comparison.plot()))
        else:
            with atomic_path(self.out) as temporary:
                comparison.plot().savefig(temporary, format="png", dpi=200, bbox_inches="tight")
        if self.save is not None:
            comparison.save(self.save)


def build(spec: str) -> "nn.Module":
    """The model that ``module:function`` makes.

    Raises:
        UsageError: it does not read so, there is no such module or function, or what it returns is no model.
    """
    from torch import nn

    maker = named(spec)
    if isinstance(maker, nn.Module) or not callable(maker):
        raise UsageError(f"'{spec}' must be a function that makes a model when called without arguments.")
    try:
        signature(maker).bind()
    except TypeError as error:
        raise UsageError(f"'{spec}' cannot be called without arguments: {error}.") from error
    model = maker()
    if not isinstance(model, nn.Module):
        raise UsageError(f"'{spec}' must return a torch.nn.Module, but returned a {type(model).__name__}.")
    return model


def named(spec: str) -> Any:
    """What ``module:function`` names, imported from the current directory too.

    Raises:
        UsageError: it does not read so, or there is no such module or function.
    """
    module_name, colon, function = spec.partition(":")
    if not (module_name and colon and function) or module_name.startswith("."):
        raise UsageError(f"'{spec}' must read module:function, such as my_models:build_a for build_a in my_models.py.")
    module = _import(module_name)
    if not hasattr(module, function):
        raise UsageError(f"There is no '{function}' in {module_name}.{_close(function, dir(module))}")
    return getattr(module, function)


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


@contextmanager
def _notes() -> Iterator[None]:
    """Print warnings as notes, each once and without the line of code that gave it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for note in dict.fromkeys(str(warning.message) for warning in caught):
        print(f"Note: {note}", file=sys.stderr)


def _import(name: str) -> object:
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"'{name}' imports '{error.name}', which is not installed here.") from error
        nearby = _close(name, [path.stem for path in Path.cwd().glob("*.py")])
        raise UsageError(f"There is no module '{name}', here or installed.{nearby}") from error
    finally:
        if added:
            sys.path.remove(here)


def _close(name: str, known: list[str]) -> str:
    close = get_close_matches(name, [other for other in known if not other.startswith("_")], n=3)
    return f" Did you mean {' or '.join(close)}?" if close else ""


def _listed(keys: list[str]) -> str:
    if not keys:
        return "nothing"
    more = f" and {len(keys) - NAMED} more" if len(keys) > NAMED else ""
    return ", ".join(keys[:NAMED]) + more
