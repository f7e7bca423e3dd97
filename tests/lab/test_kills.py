"""Kills at random moments: every trial is recorded once, with the bits of a run that was left alone.

Twenty kills in every test run; two hundred in ``make nightly``.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from torchstone.lab import Run, Store, run_study

HERE = Path(__file__).parent / "importable"
TRIALS = 64
SEEDS = range(10 if os.environ.get("TORCHSTONE_NIGHTLY") else 1)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """The run that was left alone, and its folder."""
    out = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        import killable

        return run_study(killable.Killable(), "paper", out=out, jobs=0), out


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("jobs", "kills"), [(0, 17), (1, 3)])
def test_kills_lose_nothing(
    tmp_path: Path,
    undisturbed: tuple[Run, Path],
    jobs: int,
    kills: int,
    seed: int,
    leftovers: Callable[[Path], set[str]],
) -> None:
    alone, folder = undisturbed
    orphan = tmp_path / "killed" / ".report.html.1.0.tmp"
    orphan.parent.mkdir()
    orphan.touch()
    os.utime(orphan, (0, 0))
    command = [sys.executable, str(HERE / "kill_runs.py"), str(orphan.parent), str(jobs), str(kills), str(seed)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    on_record = [int(line) for line in ended.stdout.split()]
    assert len(on_record) == kills
    assert on_record == sorted(on_record), "a record was lost"
    assert on_record[-1] < TRIALS, "the kills came too late to disturb anything"

    store = Store(tmp_path / "killed")
    killed = store.records("killable-toy", "paper")
    assert {key.seed for key in killed} == set(range(TRIALS))
    assert len(killed) == TRIALS
    by_seed = {key.seed: record for key, record in killed.items()}
    for record in alone.records:
        other = by_seed[record.trial.seed]
        assert other.trial == record.trial
        assert {name: value.hex() for name, value in other.metrics.items()} == {
            name: value.hex() for name, value in record.metrics.items()
        }
        assert all(torch.equal(other.artifacts[name], record.artifacts[name]) for name in ("x", "gram", "half"))
    last = store.last_verdict("killable-toy")
    assert last is not None
    assert last.verdict == alone.verdict
    assert leftovers(tmp_path / "killed") == leftovers(folder)
