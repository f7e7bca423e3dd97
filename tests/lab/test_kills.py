"""Twenty kills at random moments: every trial is recorded once, with the bits of a run that was left alone."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from torchstone.lab import Store, run_study

HERE = Path(__file__).parent / "importable"


@pytest.mark.parametrize(("jobs", "kills"), [(0, 17), (1, 3)])
def test_kills_lose_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, kills: int) -> None:
    monkeypatch.syspath_prepend(HERE)
    import toy_studies

    command = [sys.executable, str(HERE / "kill_runs.py"), str(tmp_path / "killed"), str(jobs), str(kills), "0"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    on_record = [int(line) for line in ended.stdout.split()]
    assert len(on_record) == kills
    assert on_record == sorted(on_record), "a record was lost"

    alone = run_study(toy_studies.Slow(), "paper", out=tmp_path / "alone", jobs=0)
    killed = Store(tmp_path / "killed").records("slow-toy", "paper")
    assert {key.seed for key in killed} == set(range(16))
    assert len(killed) == 16
    by_seed = {key.seed: record for key, record in killed.items()}
    for record in alone.records:
        other = by_seed[record.trial.seed]
        assert other.trial == record.trial
        assert {name: value.hex() for name, value in other.metrics.items()} == {
            name: value.hex() for name, value in record.metrics.items()
        }
        assert all(torch.equal(other.artifacts[name], record.artifacts[name]) for name in ("x", "gram", "half"))
    assert leftovers(tmp_path / "killed") == leftovers(tmp_path / "alone")


def leftovers(out: Path) -> set[str]:
    """Every file except the store itself, tensors by the name that their hash gives them."""
    return {str(path.relative_to(out)) for path in out.rglob("*") if "store.sqlite" not in path.name}
