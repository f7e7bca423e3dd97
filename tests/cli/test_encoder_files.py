"""An encoder file of ``selfsup pretrain`` tells ``fewshot classify`` all that it must know; files of other kinds."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from torchstone.cli.encoder_files import may_be_named

Command = Callable[..., Any]
MODELS = """
from torchstone.nets import Conv4

def grey():
    return Conv4(4, channels=1, seed=0)

def colour():
    return Conv4(4, seed=0)
"""
INSTALLED = """
from pathlib import Path

def build():
    Path("called").touch()
"""
PICTURES = ("--support", "photos", "--query", "photos")


@pytest.fixture(autouse=True)
def folder(torchstone: Command, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's folder: encoders, and pictures that are dark on the left or on the right."""
    Path("my_encoders.py").write_text(MODELS)
    Path("installed").mkdir()
    Path("installed/installed_encoders.py").write_text(INSTALLED)
    monkeypatch.syspath_prepend(str(Path("installed").resolve()))
    draws = np.random.default_rng(0)
    for name in ("left", "right"):
        Path(f"photos/{name}").mkdir(parents=True)
        for i in range(4):
            pixels = draws.integers(120, 250, (24, 24, 3))
            pixels[:, slice(12) if name == "left" else slice(12, 24)] //= 8
            Image.fromarray(pixels.astype(np.uint8)).save(f"photos/{name}/{i}.png")
    yield Path()
    for name in ("my_encoders", "moved", "installed_encoders"):
        sys.modules.pop(name, None)


def pretrain(torchstone: Command, *words: str) -> None:
    options = ("--data", "photos", "--steps", "2", "--rate", "0.01", "--out", "made.safetensors")
    answer = torchstone("selfsup", "pretrain", *options, *words)
    assert (answer.code, answer.errors) == (0, "")


def classify(torchstone: Command, *words: str) -> Any:
    return torchstone("fewshot", "classify", *PICTURES, *words)


def grey_of_16(torchstone: Command) -> None:
    """Neither size nor channels are the defaults of any command."""
    pretrain(torchstone, "--encoder", "my_encoders:grey", "--size", "16", "--channels", "1")


def with_metadata(out: str, **metadata: str) -> None:
    """The weights of ``made.safetensors`` with other words beside them."""
    save_file(load_file("made.safetensors"), out, metadata=metadata)


def test_nothing_is_typed_twice(torchstone: Command) -> None:
    grey_of_16(torchstone)
    answer = classify(torchstone, "--encoder", "made.safetensors", "--out", "a.csv")
    assert (answer.code, answer.errors) == (0, "")
    save_file(load_file("made.safetensors"), "plain.safetensors")
    by_hand = ("--weights", "plain.safetensors", "--size", "16", "--channels", "1", "--out", "b.csv")
    assert classify(torchstone, "--encoder", "my_encoders:grey", *by_hand).code == 0
    assert Path("a.csv").read_text() == Path("b.csv").read_text()


def test_a_network_that_moved_is_named_beside_the_file(torchstone: Command) -> None:
    """Size and channels still come from the file."""
    grey_of_16(torchstone)
    by_file = classify(torchstone, "--encoder", "made.safetensors")
    Path("my_encoders.py").rename("moved.py")
    refused = classify(torchstone, "--encoder", "made.safetensors")
    assert "there is no such module here" in refused.errors
    moved = classify(torchstone, "--encoder", "moved:grey", "--weights", "made.safetensors")
    assert (moved.code, moved.output) == (0, by_file.output)


def test_the_weights_are_those_of_the_file(torchstone: Command) -> None:
    grey_of_16(torchstone)
    with safe_open("made.safetensors", "pt") as file:
        metadata = file.metadata()
    blind = {name: torch.zeros_like(value) for name, value in load_file("made.safetensors").items()}
    save_file(blind, "blind.safetensors", metadata=metadata)
    assert classify(torchstone, "--encoder", "blind.safetensors").output.count("0.500") == 8
    assert classify(torchstone, "--encoder", "made.safetensors").output.count("0.500") < 8


@pytest.mark.parametrize("channels", ["1", "3"])
def test_a_network_of_torchstones_is_found_from_any_folder(
    torchstone: Command, channels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain(torchstone, "--channels", channels, "--size", "16")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    given = ("--encoder", "../made.safetensors", "--support", "../photos", "--query", "../photos")
    answer = torchstone("fewshot", "classify", *given)
    assert (answer.code, answer.errors) == (0, "")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--size", "84"), "--size is 84, but made.safetensors was trained with 16. Leave --size out."),
        (("--channels", "3"), "--channels is 3, but made.safetensors was trained with 1. Leave --channels out."),
    ],
)
@pytest.mark.parametrize(
    "encoder",
    [("--encoder", "made.safetensors"), ("--encoder", "my_encoders:grey", "--weights", "made.safetensors")],
)
def test_options_that_contradict_the_file_are_refused(
    torchstone: Command, encoder: tuple[str, ...], words: tuple[str, str], error: str
) -> None:
    grey_of_16(torchstone)
    answer = classify(torchstone, *encoder, *words)
    assert (answer.code, answer.output) == (2, "")
    assert error in answer.errors


def test_the_options_that_the_file_says_may_be_repeated(torchstone: Command) -> None:
    grey_of_16(torchstone)
    assert classify(torchstone, "--encoder", "made.safetensors", "--size", "16", "--channels", "1").code == 0


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--encoder", "absent.safetensors"), "There are no weights at absent.safetensors."),
        (("--encoder", "photos"), "There are no weights at photos."),
        (("--encoder", "photos/left/0.png"), "photos/left/0.png is not a safetensors file. Torchstone reads no pickle"),
        (("--encoder", "weights.pt"), "weights.pt is not a safetensors file. Torchstone reads no pickle"),
        (("--encoder", "plain.safetensors"), "--encoder MODULE:FUNCTION --weights plain.safetensors"),
        (("--encoder", "newer.safetensors"), "format 'torchstone encoder 2', but this torchstone reads"),
        (("--encoder", "mute.safetensors"), "mute.safetensors does not say which encoder it holds"),
        (("--encoder", "odd.safetensors"), "odd.safetensors does not say which encoder it holds (its size is '16')"),
        (("--encoder", "list.safetensors"), "list.safetensors does not say which encoder it holds"),
        (("--encoder", "made.safetensors", "--weights", "plain.safetensors"), "Leave out --weights plain.safetensors."),
        (("--encoder", "my_encoders:colour", "--weights", "made.safetensors"), "does not fit the model"),
        (("--encoder", "my_encoders:grey", "--weights", "weights.pt"), "Torchstone reads no pickle"),
        (("--encoder", "my_encoders:grey", "--weights", "newer.safetensors"), "Update torchstone."),
        (("--encoder", "conv4", "--weights", "made.safetensors"), "does not fit the model"),
    ],
)
def test_files_of_other_kinds_are_told(torchstone: Command, words: tuple[str, ...], error: str) -> None:
    grey_of_16(torchstone)
    save_file(load_file("made.safetensors"), "plain.safetensors")
    torch.save(load_file("made.safetensors"), "weights.pt")
    about = {"encoder": "my_encoders:grey", "channels": 1, "size": "16", "method": "aed", "steps": 1, "seed": 0}
    with_metadata("newer.safetensors", format="torchstone encoder 2")
    with_metadata("mute.safetensors", format="torchstone encoder 1")
    with_metadata("odd.safetensors", format="torchstone encoder 1", encoder=json.dumps(about))
    with_metadata("list.safetensors", format="torchstone encoder 1", encoder="[1]")
    answer = classify(torchstone, *words)
    assert (answer.code, answer.output) == (2, "")
    assert error in answer.errors


def test_a_file_cannot_have_installed_code_called(torchstone: Command) -> None:
    """`http.server:test` needs no arguments, and would serve the current directory to everybody."""
    grey_of_16(torchstone)
    about = {"channels": 1, "size": 16, "method": "aed", "steps": 1, "seed": 0}
    for spec in ("installed_encoders:build", "http.server:test", "torchstone.cli.main:main"):
        with_metadata("trap.safetensors", format="torchstone encoder 1", encoder=json.dumps({**about, "encoder": spec}))
        answer = classify(torchstone, "--encoder", "trap.safetensors")
        assert answer.code == 2
        assert f"trust that function, name it yourself: --encoder {spec} --weights trap.safetensors" in answer.errors
    assert not Path("called").exists()
    assert "installed_encoders" not in sys.modules


@pytest.mark.parametrize(
    ("spec", "may"),
    [
        ("torchstone.cli.encoders:conv4_grey", True),
        ("torchstone.cli.encoders:spelled_out", False),
        ("my_encoders:grey", True),
        ("package.models:build", True),
        ("../my_encoders:grey", False),
        ("photos:build", False),  # a folder, but no package
        (":build", False),
        ("", False),
    ],
)
def test_what_a_file_may_name(torchstone: Command, spec: str, may: bool) -> None:
    Path("package").mkdir()
    Path("package/__init__.py").touch()
    assert may_be_named(spec) == may
