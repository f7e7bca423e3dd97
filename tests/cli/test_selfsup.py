"""``torchstone selfsup pretrain``: every method, resume, the file for few-shot classification, what must be mended."""

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
from safetensors.torch import load_file

from torchstone.cli import selfsup

Command = Callable[..., Any]
MODELS = """
from torch import nn
from torchstone.nets import Conv4

def small():
    return Conv4(4, seed=0)

def drawn():
    return nn.Sequential(nn.Flatten(), nn.Linear(768, 8))
"""
INSTALLED = """
from torchstone.nets import Conv4

def grey():
    return Conv4(4, channels=1, seed=0)
"""


@pytest.fixture(autouse=True)
def folder(
    torchstone: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A user's folder: an encoder, and pictures of two kinds; another encoder is installed."""
    Path("selfsup_models.py").write_text(MODELS)
    installed = tmp_path_factory.mktemp("installed")
    (installed / "installed_models.py").write_text(INSTALLED)
    monkeypatch.syspath_prepend(str(installed))
    draws = np.random.default_rng(0)
    for i in range(10):
        path = Path(f"photos/{'light' if i % 2 else 'dark'}/{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = draws.integers(0, 40, (20, 20, 3)) + 200 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    yield Path()
    for name in ("selfsup_models", "installed_models"):
        sys.modules.pop(name, None)


def pretrain(torchstone: Command, *words: str, encoder: str = "selfsup_models:small") -> Any:
    options = ("--data", "photos", "--size", "16", "--steps", "4", "--rate", "0.01", "--encoder", encoder)
    return torchstone("selfsup", "pretrain", *options, *words)


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("aet-affine", "Transformation error: 0."),
        ("aet-projective", "Transformation error: 0."),
        ("aed", "Reconstruction error: "),
        ("rotnet", "(chance: 75 %)"),
    ],
)
def test_every_method_writes_the_encoder(torchstone: Command, method: str, said: str) -> None:
    answer = pretrain(torchstone, "--method", method, "--out", "weights/e.safetensors")
    assert (answer.code, answer.errors) == (0, "")
    assert said in answer.output
    assert "Written: weights/e.safetensors" in answer.output
    with safe_open("weights/e.safetensors", "pt") as file:
        about = json.loads(file.metadata()["encoder"])
    expected = {"encoder": "selfsup_models:small", "channels": 3, "method": method, "steps": 4, "seed": 0, "size": 16}
    assert about == expected
    assert [path.name for path in Path("weights").iterdir()] == ["e.safetensors"]


@pytest.mark.parametrize("name", ["selfsup_models:small", "conv4"])
def test_few_shot_classification_takes_it_as_the_command_says(torchstone: Command, name: str) -> None:
    answer = pretrain(torchstone, encoder=name)
    (use,) = [line for line in answer.output.splitlines() if line.startswith("Use it: torchstone ")]
    assert use == "Use it: torchstone fewshot classify --encoder encoder.safetensors --support FOLDER --query FOLDER"
    words = use.removeprefix("Use it: torchstone ").replace("--support FOLDER --query FOLDER", "").split()
    used = torchstone(*words, "--support", "photos", "--query", "photos/dark")
    assert (used.code, used.errors) == (0, "")
    assert used.output.count("dark") == 5


def test_for_a_network_of_installed_code_the_command_says_its_name(torchstone: Command) -> None:
    answer = pretrain(torchstone, "--channels", "1", encoder="torchstone.cli.encoders:_unknown")
    assert "There is no '_unknown'" in answer.errors
    answer = pretrain(torchstone, "--channels", "1", encoder="installed_models:grey")
    assert (answer.code, answer.errors) == (0, "")
    assert "--encoder installed_models:grey --weights encoder.safetensors --support" in answer.output


def test_a_killed_run_goes_on_to_the_same_weights(torchstone: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = "selfsup_models:drawn"
    assert pretrain(torchstone, "--out", "whole.safetensors", encoder=encoder).code == 0

    def kill(*_: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(selfsup, "described", kill)
        assert pretrain(torchstone, "--out", "killed.safetensors", encoder=encoder).code == 130
    assert not Path("killed.safetensors").exists()
    for path in Path("killed.safetensors.checkpoints").glob("step-*4/*"):
        path.unlink()  # as if it had been killed after the third step
    with pytest.warns(UserWarning, match="A checkpoint is skipped"):
        assert pretrain(torchstone, "--out", "killed.safetensors", encoder=encoder).code == 0
    whole, resumed = load_file("whole.safetensors"), load_file("killed.safetensors")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_an_unfinished_run_with_other_settings_is_not_continued(
    torchstone: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: Any) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(selfsup, "described", kill)
        pretrain(torchstone)
    answer = pretrain(torchstone, "--method", "rotnet", "--seed", "1")
    assert answer.code == 2
    assert "unfinished run with other settings (method, seed)" in answer.errors
    Path("encoder.safetensors.checkpoints/settings.json").write_text("[")
    assert "is missing or damaged. Remove the folder" in pretrain(torchstone).errors


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--data", "nowhere"), "--data nowhere: `folder` must be a folder of pictures"),
        (("--encoder", "selfsup_models:smal"), "Did you mean small?"),
        (("--encoder", "photos"), "--encoder photos is a file. Give the network: nin, conv4 or MODULE:FUNCTION."),
        (("--encoder", "e.safetensors"), "--encoder e.safetensors is a file."),
        (("--encoder", "resnet"), "must read module:function"),
        (("--steps", "0"), "could not be trained: steps and every must be 1 or more"),
        (("--rate", "-1"), "`rate` must be positive"),
        (("--method", "aed", "--noise", "-1"), "`noise` must be 0 or more"),
        (("--out", "photos"), "--out photos is a folder"),
        (("--channels", "1"), "could not be trained"),
    ],
)
def test_what_must_be_mended_is_said(torchstone: Command, words: tuple[str, ...], error: str) -> None:
    answer = pretrain(torchstone, *words)
    assert answer.code == 2
    assert error in answer.errors
    assert not Path("encoder.safetensors").exists()
    assert pretrain(torchstone).code == 0
