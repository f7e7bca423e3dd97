"""``torchstone fewshot classify``: the table, the file, the weights, and what a user must mend."""

import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

Command = Callable[..., Any]
MODELS = """
import torch
from torch import nn
from torchstone.nets import Conv4

def flat():
    return nn.Flatten()

def conv4():
    return Conv4(4, seed=0)

def maps():
    return nn.Flatten(0)
"""
COLOURS = {"red": (220, 20, 20), "green": (20, 220, 20), "blue": (20, 20, 220)}


@pytest.fixture(autouse=True)
def folder(torchstone: Command) -> Iterator[Path]:
    """A user's folder: an encoder, two examples of each colour, three pictures."""
    Path("few_shot_models.py").write_text(MODELS)
    draws = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for file in (f"support/{name}/0.png", f"support/{name}/1.png", f"query/{name}.png"):
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            pixels = draws.integers(-20, 20, (20, 20, 3)) + colour
            Image.fromarray(pixels.astype(np.uint8)).save(file)
    yield Path()
    sys.modules.pop("few_shot_models", None)


def classify(torchstone: Command, *words: str, model: str = "few_shot_models:flat") -> Any:
    required = ("--encoder", model, "--support", "support", "--query", "query", "--size", "16")
    return torchstone("fewshot", "classify", *required, *words)


@pytest.mark.parametrize("head", ["logistic", "centroid", "neighbour", "svm", "prototypes"])
def test_pictures_are_named(torchstone: Command, head: str) -> None:
    answer = classify(torchstone, "--head", head, "--out", "results/table.csv")
    assert (answer.code, answer.errors) == (0, "")
    rows = list(csv.DictReader(Path("results/table.csv").read_text().splitlines()))
    assert [(row["file"], row["class"]) for row in rows] == [(f"{name}.png", name) for name in sorted(COLOURS)]
    for row in rows:
        assert (row["probability"] != "") == (head in {"logistic", "prototypes"})
        assert not row["probability"] or 1 / 3 < float(row["probability"]) <= 1
    words = answer.output.split()
    assert all(name in words for name in COLOURS)
    assert "Written: results/table.csv" in answer.output


def test_files_in_sub_folders_keep_their_place(torchstone: Command) -> None:
    Path("query/deep/er").mkdir(parents=True)
    for name in COLOURS:
        Path(f"query/{name}.png").rename(f"query/deep/er/{name}.png")
    assert "deep/er/green.png" in classify(torchstone).output


def test_weights_come_from_the_file(torchstone: Command) -> None:
    from torchstone.nets import Conv4

    blind = {name: torch.zeros_like(value) for name, value in Conv4(4, seed=0).state_dict().items()}
    save_file(blind, "blind.safetensors")
    answer = classify(torchstone, "--weights", "blind.safetensors", model="few_shot_models:conv4")
    assert answer.code == 0
    assert answer.output.count("0.333") == 3
    assert classify(torchstone, model="few_shot_models:conv4").output.count("0.333") < 3


def test_a_picture_is_embedded_once(torchstone: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchstone.fewshot import estimator

    seen = []
    embed = estimator.embed
    monkeypatch.setattr(estimator, "embed", lambda *given, **how: seen.append(len(given[1])) or embed(*given, **how))
    assert classify(torchstone).code == 0
    assert seen == [6, 3]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--support", "query"), "must have a sub-folder for each of 2 or more classes"),
        (("--support", "nowhere"), "--support nowhere"),
        (("--query", "nowhere"), "--query nowhere"),
        (("--encoder", "few_shot_models:flta"), "Did you mean flat"),
        (("--encoder", "few_shot_models:maps"), "could not be classified: `encoder` must give one row"),
        (("--weights", "nowhere.safetensors"), "There are no weights at nowhere.safetensors"),
        (("--c", "0"), "could not be classified: `c`"),
        (("--batch-size", "0"), "could not be classified: `batch_size`"),
        (("--device", "toaster"), "could not be classified"),
        (("--out", "query/red.png/table.csv"), "--out query/red.png cannot be made"),
        (("--out", "support"), "--out support is a folder"),
    ],
)
def test_what_a_user_must_mend(torchstone: Command, words: tuple[str, str], error: str) -> None:
    options = {"--encoder": "few_shot_models:flat", "--support": "support", "--query": "query", "--size": "16"}
    given = [word for pair in (options | dict([words])).items() for word in pair]
    answer = torchstone("fewshot", "classify", *given)
    assert answer.code == 2
    assert error in " ".join(answer.errors.split())
