import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file, save_model

from torchstone.cli.common import UsageError
from torchstone.cli.compare import Compare
from torchstone.cli.models import build
from torchstone.cli.weights import load_weights
from torchstone.similarity import Comparison

MODELS = """
import torch
from torch import nn

def _net(seed, width):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, width, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(9 * width, 5))

def build_a():
    return _net(0, 4)

def build_b():
    return _net(1, 6)

def not_a_model():
    return 3

def needs_an_argument(width):
    return _net(0, width)

def broken():
    return _net(0, None)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder: models, pictures, weights for the first model."""
    (tmp_path / "compare_models_of_mine.py").write_text(MODELS)
    (tmp_path / "photos").mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (20, 9, 9, 3), dtype=np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / "photos" / f"{i}.png")
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(devices=[]):
        weights = build("compare_models_of_mine:build_b").state_dict()
    save_file(weights, "b.safetensors")
    yield tmp_path
    sys.modules.pop("compare_models_of_mine", None)


def command(**changes) -> Compare:
    options = {
        "a": "compare_models_of_mine:build_b",
        "b": "compare_models_of_mine:build_b",
        "data": Path("photos"),
        "weights_a": Path("b.safetensors"),
        "size": 8,
        "batch_size": 10,
        "layers_a": ("0", "3"),
        "layers_b": ("3", "0"),
    }
    return Compare(**{**options, **changes})


def run(compare: Compare) -> int:
    with torch.random.fork_rng(devices=[]):
        return compare.run()


def test_the_command_writes_page_and_numbers(folder):
    models = "compare_models_of_mine:build_a compare_models_of_mine:build_b --weights-b b.safetensors --layers-a 0 3"
    options = "--data photos --size 8 --batch-size 10 --metrics cka hsic --out heat.html --save numbers.safetensors"
    start = [sys.executable, "-c", "from torchstone.cli.main import main; raise SystemExit(main())"]
    done = subprocess.run(
        [*start, "compare", *models.split(), *options.split()],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "n = 20 examples in 2 batches" in done.stdout
    assert (folder / "heat.html").read_text().count("<svg") == 2
    numbers = Comparison.load(folder / "numbers.safetensors")
    assert numbers.layers_a == ("0", "3")
    assert numbers.layers_b == ("0", "1", "2", "3")
    assert numbers.model_a == "compare_models_of_mine:build_a"


def test_the_weights_are_those_of_the_file(folder):
    assert run(command(save=Path("numbers.safetensors"))) == 0
    same = Comparison.load("numbers.safetensors").matrix()
    assert same[0, 1] == pytest.approx(1.0, abs=1e-6)
    assert same[1, 0] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(("name", "start"), [("heat.svg", b"<svg"), ("heat.png", b"\x89PNG")])
def test_pictures(folder, name, start):
    assert run(command(out=Path(name))) == 0
    assert (folder / name).read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"out": Path("heat.pdf")}, "must end in .html, .png or .svg"),
        ({"a": "compare_models_of_mine"}, "must read module:function"),
        ({"a": "compare_models_of_mien:build_b"}, "Did you mean compare_models_of_mine"),
        ({"a": "compare_models_of_mine:build_c"}, "Did you mean build_"),
        ({"a": "compare_models_of_mine:not_a_model"}, "returned a int"),
        ({"a": "compare_models_of_mine:needs_an_argument"}, "cannot be called without arguments"),
        ({"a": "./compare_models_of_mine:build_b"}, "must read module:function"),
        ({"weights_a": Path("nowhere.safetensors")}, "There are no weights at nowhere.safetensors"),
        ({"data": Path("nowhere")}, "nowhere"),
        ({"layers_a": ("9",)}, "No layer is called '9'"),
        ({"size": 2}, "could not be compared"),
        ({"device": "toaster"}, "could not be compared"),
        ({"reduce": "--1"}, "`reduce` must be one of"),
        ({"out": Path("photos/0.png/heat.html")}, "--out photos/0.png cannot be made"),
        ({"save": Path("photos/0.png/numbers.safetensors")}, "--save photos/0.png cannot be made"),
    ],
)
def test_what_a_user_must_mend(folder, changes, message):
    with pytest.raises(UsageError, match=message):
        run(command(**changes))


def test_a_pickle_is_refused_with_the_way_to_convert_it(folder):
    Path("old.pt").write_bytes(b"PK\x03\x04 pretend that this is a checkpoint of torch.save")
    with pytest.raises(UsageError, match=r"reads no pickle.*save_file"):
        run(command(weights_a=Path("old.pt")))


def test_weights_that_do_not_fit_are_listed(folder):
    model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.BatchNorm1d(3))
    path = Path("b.safetensors")
    with pytest.raises(UsageError, match=r"missing 1\.bias, 1\.num_batches_tracked") as caught:
        load_weights(model, path, "here:make")
    assert "unexpected 0.bias, 0.weight, 3.bias, 3.weight" in str(caught.value)
    save_file({**model.state_dict(), "1.weight": torch.ones(4)}, "wrong.safetensors")
    with pytest.raises(UsageError, match=r"'1.weight' is \(4,\) in the file, \(3,\) in the model"):
        load_weights(model, Path("wrong.safetensors"), "here:make")


class Tied(torch.nn.Module):
    """A language model's habit: the output weights are those of the embedding, here also in part."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.out = torch.nn.Embedding(7, 3), torch.nn.Linear(3, 7, bias=False)
        self.out.weight = self.embed.weight
        self.register_buffer("first", self.embed.weight.detach()[:2])
        self.free = torch.nn.Parameter(torch.zeros(3))


def test_of_tied_weights_the_file_needs_one(tmp_path):
    path = tmp_path / "tied.safetensors"
    with torch.random.fork_rng(devices=[]):
        saved, model = Tied(), Tied()
    save_model(saved, str(path))
    load_weights(model, path, "here:make")
    for name, tensor in saved.state_dict().items():
        assert torch.equal(model.state_dict()[name], tensor)
    model.out.weight = torch.nn.Parameter(torch.zeros(7, 3))  # tied no more, so the file lacks it
    with pytest.raises(UsageError, match=r"missing (embed\.weight, first|out\.weight); unexpected nothing"):
        load_weights(model, path, "here:make")


@pytest.mark.parametrize("held", ["first", "every_other"])
def test_a_part_of_the_memory_does_not_stand_for_the_rest(tmp_path, held):
    model = torch.nn.Module()
    model.whole = torch.nn.Parameter(torch.zeros(6))
    model.register_buffer(held, model.whole.detach()[:3] if held == "first" else model.whole.detach()[::2])
    path = tmp_path / "part.safetensors"
    save_file({held: torch.ones(3)}, path)
    with pytest.raises(UsageError, match="missing whole"):
        load_weights(model, path, "here:make")


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is here")
def test_a_machine_without_cuda_says_so(folder):
    with pytest.raises(UsageError, match=r"could not be compared: .*CUDA"):
        run(command(device="cuda"))


def test_an_error_inside_the_users_function_names_its_line(folder):
    broken = r"could not make a model: TypeError: unsupported operand[^\n]*\n *--> compare_models_of_mine.py:7\n"
    with torch.random.fork_rng(devices=[]), pytest.raises(UsageError, match=broken):
        build("compare_models_of_mine:broken")


def test_warnings_are_notes(folder, capsys):
    assert run(command(batch_size=9)) == 0
    assert capsys.readouterr().err == "Note: 1 batch of fewer than 4 examples had to be left out.\n"
