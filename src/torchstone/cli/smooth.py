"""``torchstone smooth``: what is known of a model before it is trained, in the manner of a compiler."""

from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from torchstone.cli.blame import blamed
from torchstone.cli.common import UsageError, screen
from torchstone.cli.models import build, named

if TYPE_CHECKING:
    import torch
    from rich.text import Text
    from torch import Tensor

    from torchstone.smoothness import Report

DTYPES = ("float", "double", "half", "int", "bool")
COLOURS = {
    r"(?m)^error\b.*": "bold red",
    r"(?m)^warning\b.*": "bold yellow",
    r"(?m)^info\b.*": "bold cyan",
    r"(?m)^ *(-->|\d* \|)": "blue",
    r"(?m)\^+$": "bold red",
    r"(?m)^ *= \w+:": "cyan",
}


@dataclass(frozen=True)
class Smooth:
    """Check a model or function of your own before it is trained: where gradients arrive, and how smooth it is."""

    what: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODULE:FUNCTION")]
    """makes the model, or is itself the function, such as `my_models:build`; imported from the current directory too"""
    input: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SHAPE ...")]
    """a shape for each input, such as `1x3x32x32`; `int:8x20` for whole numbers (0 and 1); also double, half, bool"""
    loss: str | None = None
    """MODULE:FUNCTION of the output and the targets, such as `torch.nn.functional:cross_entropy`"""
    target: Annotated[tuple[str, ...], tyro.conf.arg(metavar="SHAPE ...")] = ()
    """shapes of the targets that the loss takes, as for --input"""
    wrt: Literal["params", "inputs"] = "params"
    """what gradients are for: parameters or inputs"""
    require: Literal["C0", "C1", "C2", "Smooth", "Analytic"] | None = None
    """an error if it is not so smooth"""
    seed: int = 0
    """of weights and inputs"""

    def run(self) -> int:
        """Check and print the report; returns 1 if there are errors in it."""
        report = self._report()
        screen().print(coloured(str(report)), soft_wrap=True)
        return 1 if report.count("error") else 0

    def _report(self) -> "Report":
        import torch

        from torchstone import smoothness
        from torchstone.nets import seeded

        generator = torch.Generator().manual_seed(self.seed)
        inputs = [example(word, generator, "--input") for word in self.input]
        loss = self._loss([example(word, generator, "--target") for word in self.target])
        required = None if self.require is None else getattr(smoothness, self.require)
        with seeded(self.seed):
            program = self._program()
            given = " ".join(["--input", *self.input, *(("--target", *self.target) if self.target else ())])
            with blamed(f"'{self.what}' could not be run on {given}", whole_numbers):
                return smoothness.check(program, *inputs, loss=loss, wrt=self.wrt, require=required)

    def _program(self) -> Callable[..., Any]:
        from torch import nn

        found = named(self.what)
        if isinstance(found, nn.Module):
            return found
        if not callable(found):
            raise UsageError(f"'{self.what}' must be a function, but it is a {type(found).__name__}.")
        if takes_nothing(found):
            return build(self.what)
        if self.wrt == "params":
            raise UsageError(
                f"'{self.what}' takes arguments, so it is a function of the inputs, which has no parameters: say "
                "--wrt inputs. If it makes a model, write a function without arguments that does, and name that."
            )
        function: Callable[..., Any] = found
        return function

    def _loss(self, targets: "list[Tensor]") -> "Callable[[Any], Tensor] | None":
        if self.loss is None:
            if targets:
                raise UsageError("--target is what a loss takes besides the output. Give --loss too.")
            return None
        function = named(self.loss)
        return lambda output: function(output, *targets)


def example(word: str, generator: "torch.Generator", option: str) -> "Tensor":
    """The tensor that ``word`` describes: ``1x3x32x32``, ``int:8x20``.

    Raises:
        UsageError: it describes none.
    """
    import torch

    kind, _, shape = word.rpartition(":")
    dtype, sides = kind or "float", shape.split("x")
    if dtype not in DTYPES or not all(side.isdecimal() for side in sides):
        raise UsageError(
            f"{option} {word} must read as a shape, such as 1x3x32x32, or as a type and a shape, such as int:8x20; "
            f"types are {', '.join(DTYPES)}."
        )
    size = [int(side) for side in sides]
    if dtype in ("int", "bool"):
        whole = torch.randint(2, size, generator=generator)
        return whole.bool() if dtype == "bool" else whole
    return torch.randn(size, generator=generator).to(getattr(torch, dtype))


def whole_numbers(message: str) -> str:
    """What to do where torch asks for them."""
    return "int:8 instead of 8 gives whole numbers, for --input and --target" if "Long" in message else ""


def takes_nothing(function: Callable[..., Any]) -> bool:
    """Whether ``function`` can be called without arguments, as what makes a model can be."""
    try:
        signature(function).bind()
    except (TypeError, ValueError):  # ValueError: a builtin without a signature, such as torch.relu
        return False
    return True


def coloured(text: str) -> "Text":
    """The report, for a terminal that has colours."""
    from rich.text import Text

    report = Text(text)
    for pattern, style in COLOURS.items():
        report.highlight_regex(pattern, style)
    return report
