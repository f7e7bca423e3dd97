"""The same trial in two fresh processes gives the same bits; with how many threads is on record."""

from pathlib import Path

import pytest

from torchstone.lab import Store, run_study
from torchstone.lab import runner as runner_module

HERE = Path(__file__).parent / "importable"


@pytest.mark.parametrize("threads", [1, 2])
def test_two_fresh_processes_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setattr(runner_module, "available_cores", lambda: threads)
    import training_study

    records = []
    for out in (tmp_path / "first", tmp_path / "second"):
        run = run_study(training_study.Training(), "smoke", out=out, jobs=1)
        records += run.records
        (origin,) = Store(out).origins("training-toy", "smoke").values()
        assert origin.environment["threads per job"] == str(threads)
    first, second = records
    assert {name: value.hex() for name, value in first.metrics.items()} == {
        name: value.hex() for name, value in second.metrics.items()
    }
    assert first.artifacts.sha256 == second.artifacts.sha256
    assert set(first.artifacts) == {"0.weight", "0.bias", "4.weight", "4.bias"}
