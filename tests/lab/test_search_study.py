"""A real study that searches: equal budgets, the test split opened once, and the same bits after kills."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from torchstone.lab import Record, audit, run_study
from torchstone.lab import runner as runner_module

HERE = Path(__file__).parent / "importable"


@pytest.fixture
def tuned(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setattr(runner_module, "available_cores", lambda: 1)
    import tuned_study

    return tuned_study


def test_a_study_searches_fairly_and_survives_kills(
    tuned: ModuleType, tmp_path: Path, bits: Callable[[list[Record]], list[object]]
) -> None:
    run = run_study(tuned.AsGood(), out=tmp_path, jobs=0)
    assert audit(tuned.AsGood()) == audit(run) == []
    assert run.verdict is not None
    assert run.verdict.checks[1].status == "confirmed"
    for record in run.records:
        assert record.metrics["test_openings"] == 1
        if record.trial.arm != "chance":
            scores = record.artifacts["search/scores"]
            assert record.metrics["search/settings"] == len(scores) == 4
            assert record.metrics["validation"] == scores.max().item()
            best = record.artifacts["search/settings"][scores.argmax()]
            assert best[0].item() == record.metrics["best/lr"]

    killed = run_study(tuned.Killed(), out=tmp_path, jobs=1)
    assert bits(killed.records) == bits(run.records)


def test_arms_are_trained_from_the_same_numbers_and_seeds_are_not(tuned: ModuleType, tmp_path: Path) -> None:
    run = run_study(tuned.AsGood(), "smoke", out=tmp_path, jobs=0)
    searched = [record.artifacts["search/settings"] for record in run.records if record.artifacts]
    assert len({settings.numpy().tobytes() for settings in searched}) == len(searched) == 4
    assert not torch.equal(searched[0], searched[1])
