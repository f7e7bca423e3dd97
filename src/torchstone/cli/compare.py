"""``torchstone compare``: all layers of one model against all layers of another, on a folder of pictures."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from torchstone.cli.common import UsageError, check_writable
from torchstone.cli.models import build
from torchstone.cli.weights import load_weights

if TYPE_CHECKING:
    from torch import Tensor

    from torchstone.similarity import Comparison

PICTURES = (".html", ".png", ".svg")


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


@contextmanager
def _notes() -> Iterator[None]:
    """Print warnings as notes, each once and without the line of code that gave it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for note in dict.fromkeys(str(warning.message) for warning in caught):
        print(f"Note: {note}", file=sys.stderr)
