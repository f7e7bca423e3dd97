"""Twenty kills with SIGKILL while checkpoints are written: nothing is lost, and the end is the same to the last bit."""

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

SCRIPT = Path(__file__).with_name("killed_fit.py")
KILLED = 9


def test_a_fit_killed_twenty_times_ends_like_an_undisturbed_one(tmp_path: Path):
    command = [sys.executable, "-W", "error::UserWarning", str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    seen = json.loads(done.stdout)
    lives = seen["lives"]
    assert [life["signal"] for life in lives] == [KILLED] * 20
    assert any(life["mid_write"] for life in lives), "no kill fell into the writing of a checkpoint"
    for life in lives:
        assert life["saved"] in (life["last_round"] - 1, life["last_round"]), "a finished checkpoint was lost"
    for before, after in pairwise(lives):
        assert after["first_round"] == before["saved"] + 1, "the fit did not resume where it was"
    assert seen["exits"] == [0, 0]
    last = f"step-{seen['steps']:08d}"
    for name in ("manifest.json", "state.json", "tensors.safetensors"):
        killed, calm = (tmp_path / folder / last / name for folder in ("killed", "calm"))
        assert killed.read_bytes() == calm.read_bytes()
    assert not list((tmp_path / "killed").glob(".*"))
