"""``torchstone smooth`` on models and functions of a user's own."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from torchstone.cli.common import UsageError
from torchstone.cli.smooth import coloured, example

Smooth = Callable[[str], Any]

MODELS = """
import torch
from torch import nn


class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.codes = nn.Embedding(8, 4)

    def forward(self, x):
        k = self.encoder(x).argmax(1)
        return self.codes(k).log_softmax(-1)


def quantised():
    return Quantised()


def words():
    return nn.Sequential(nn.Embedding(2, 4), nn.Flatten(), nn.Linear(80, 10))


def energy(x, y):
    return (x - y).abs().sum()


def weighted(output, target, weight):
    return (weight * nn.functional.cross_entropy(output, target, reduction="none")).sum()


def fails(x):
    return {}["labels"]


def wide(width):
    return nn.Linear(width, 2)


def unmade():
    return nn.Linear("4", 2)


linear = words()
number = 3
"""

FAILED = """\
torchstone: 'smooth_models_of_mine:fails' could not be run on --input 1x4: KeyError: 'labels'
  --> smooth_models_of_mine.py:34
   |
34 |     return {}["labels"]
"""

CUT = """\
error[GRAD-ZERO]: parameter 'encoder.0.weight' gets no gradient: 'argmax' has derivative 0 almost everywhere
  --> smooth_models_of_mine.py:13
   |
13 |     k = self.encoder(x).argmax(1)
   |                         ^^^^^^
   = path: encoder.0.weight -> conv2d (13) -> relu (13) -> (2 more) -> argmax (13) -> embedding (14) \
-> log_softmax (14) -> nll_loss -> result
   = also: encoder.0.bias
   = hint: a softmax instead, a straight-through estimator (hard + soft - soft.detach()), or a score-function estimator

order      discontinuous ('argmax' at smooth_models_of_mine.py:13)
shape      general
Lipschitz  no finite bound known
gradients  reach 1 of 3
1 error
"""


@pytest.fixture
def smooth(torchstone: Callable[..., Any]) -> Iterator[Smooth]:
    """The command, in a user's folder with models in it."""
    Path("smooth_models_of_mine.py").write_text(MODELS)
    with torch.random.fork_rng(devices=[]):
        yield lambda words: torchstone("smooth", *f"smooth_models_of_mine:{words}".split())
    sys.modules.pop("smooth_models_of_mine", None)


def test_a_cut_gradient_reads_as_in_a_compiler(smooth: Smooth) -> None:
    answer = smooth("quantised --input 2x3x9x9 --loss torch.nn.functional:nll_loss --target int:2")
    assert answer.code == 1
    assert answer.output == CUT


@pytest.mark.parametrize(
    "words",
    [
        "words --input int:8x20 --require Analytic",
        "words --input int:8x20 --loss torch.nn.functional:cross_entropy --target int:8",
        "words --input int:8x20 --loss smooth_models_of_mine:weighted --target int:8 8",
        "linear --input int:8x20",
        "energy --input double:5 double:5 --wrt inputs --require C0",
    ],
)
def test_what_is_in_order_is_said_so(words: str, smooth: Smooth) -> None:
    answer = smooth(words)
    assert (answer.code, answer.errors) == (0, "")
    assert answer.output.endswith("no errors, no warnings\n")


def test_a_requirement_that_is_not_met_is_an_error(smooth: Smooth) -> None:
    answer = smooth("energy --input 5 5 --wrt inputs --require C1")
    assert answer.code == 1
    assert "error[ORDER]: C1 is required, but this is C0: 'abs' at smooth_models_of_mine.py:" in answer.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("quantised --input 3y9", "--input 3y9 must read as a shape"),
        ("quantised --input long:3", "types are float, double, half, int, bool"),
        ("quantised --input 2x1x9x9", "'smooth_models_of_mine:quantised' could not be run on --input 2x1x9x9: Runtime"),
        ("quantised --input 2x1x9x9", "13 |         k = self.encoder(x).argmax(1)\n"),
        ("words --input 8x20", "   = hint: int:8 instead of 8 gives whole numbers"),
        ("unmade --input 4", "'smooth_models_of_mine:unmade' could not make a model: TypeError"),
        ("wide --input 4", "takes arguments, so it is a function of the inputs"),
        ("quantised --input 2x3x9x9 --target int:2", "Give --loss too"),
        ("number --input 3", "must be a function, but it is a int"),
        ("nothing --input 3", "There is no 'nothing'"),
        ("energy --input 3 3", "say --wrt inputs"),
    ],
)
def test_what_a_user_must_mend(words: str, message: str, smooth: Smooth) -> None:
    answer = smooth(words)
    assert answer.code == 2
    assert message in answer.errors


def test_an_error_in_the_program_is_told_with_its_line(smooth: Smooth) -> None:
    answer = smooth("fails --input 1x4 --wrt inputs")
    assert (answer.code, answer.errors) == (2, FAILED)


def test_an_error_in_the_file_is_told_with_its_line(torchstone: Callable[..., Any]) -> None:
    Path("smooth_file_of_mine.py").write_text("import torch\ndef build(:\n")
    answer = torchstone("smooth", "smooth_file_of_mine:build", "--input", "1")
    assert answer.code == 2
    assert answer.errors.startswith("torchstone: 'smooth_file_of_mine:build' could not be imported: SyntaxError")
    assert answer.errors.endswith(" 2 | def build(:\n   |           ^\n")


def test_examples_have_shape_and_type() -> None:
    generator = torch.Generator().manual_seed(0)
    for word, dtype, shape in (
        ("2x3", torch.float32, (2, 3)),
        ("double:4", torch.float64, (4,)),
        ("half:1x1", torch.float16, (1, 1)),
        ("bool:7", torch.bool, (7,)),
        ("int:50", torch.int64, (50,)),
    ):
        made = example(word, generator, "--input")
        assert (made.dtype, tuple(made.shape)) == (dtype, shape)
    assert set(made.tolist()) == {0, 1}
    with pytest.raises(UsageError, match="--target int:x"):
        example("int:x", generator, "--target")


def test_a_terminal_shows_colours() -> None:
    text = coloured("error[GRAD-CUT]: no\n --> a.py:1\n  |\n1 |     x\n  |     ^\n  = hint: yes\n\norder      C0")
    styles = [(text.plain[span.start : span.end], str(span.style)) for span in text.spans]
    assert ("error[GRAD-CUT]: no", "bold red") in styles
    assert ("^", "bold red") in styles
    assert ("  = hint:", "cyan") in styles
    assert not any("order" in words for words, _ in styles)
