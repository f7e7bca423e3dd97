"""Files made to do harm are refused at once: in less than a CPU-second, with little memory; nothing in them runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("hostile_files.py")
REFUSALS = {
    "zip bomb": "would unpack to 268435456 bytes of pictures",
    "zip of many pictures": "would unpack to 314572800 bytes of pictures",
    "zip with a path upwards": "has a name that leads out of it: '../../../Greek/",
    "zip with an absolute path": "has a name that leads out of it: '/tmp/Greek/",
    "zipped picture of 25 million pixels": "5000×5000 pixels are too many; at most 1024 a side",
    "81 million pixels": "9000×9000 pixels are more than 67108864",
    "3,600 million pixels": "a.png is no picture that can be read (Image size (3600000000 pixels) exceeds limit",
    "gzip bomb": "holds more than 67108864 bytes",
    "idx of 1 TiB": "holds more than 67108864 bytes",
    "pickle as weights": "not a whole safetensors file",
    "torch.save as weights": "not a whole safetensors file",
    "huge header": "announces a header of 1099511627776",
    "header beyond the end": "announces a header of 1048576",
    "long header of rubbish": "not a whole safetensors file",
    "offsets beyond the end": "not a whole safetensors file",
    "many tensors with a tail": "not a whole safetensors file",
    "zip as weights": "not a whole safetensors file",
    "pickle as manifest": "is damaged: it is no manifest of a checkpoint",
    "nested manifest": "is damaged: it is no manifest of a checkpoint",
    "manifest of 1 TiB": "is damaged: it is no manifest of a checkpoint",
}
WEIGHTS = [name for name, said in REFUSALS.items() if "safetensors" in said or "header" in said]
REFUSALS |= {f"{name}, its metadata": REFUSALS[name] for name in WEIGHTS}
MIB = 80  # what a reader may use beyond the file that it was given


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, float, float]]:
    """The error, CPU seconds and MiB of each attempt, in a process of its own."""
    command = [sys.executable, str(SCRIPT), str(tmp_path_factory.mktemp("hostile"))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: (error, seconds, mib) for name, error, seconds, mib in map(json.loads, done.stdout.splitlines())}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize("name", REFUSALS)
def test_hostile_files_are_refused_at_once(told: dict[str, tuple[str, float, float]], name: str) -> None:
    error, seconds, mib = told[name]
    assert error.startswith(("DamagedFileError: ", "ValueError: ", "UserWarning: A checkpoint is skipped: "))
    assert REFUSALS[name] in error
    assert seconds < 1
    assert mib < MIB


def test_nothing_was_left_out(told: dict[str, tuple[str, float, float]]) -> None:
    assert told.keys() == REFUSALS.keys()
