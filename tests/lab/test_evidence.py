"""What diverged trials leave to look at."""

from pathlib import Path
from types import ModuleType

import pytest
import torch

from torchstone.lab import Store, code_version, render_report, run_study
from torchstone.lab.divergence import NoMetrics
from torchstone.lab.evidence import KEPT, evidence_folder, keep_evidence
from torchstone.lab.recorded import recorded
from torchstone.lab.scratch import folder_name
from torchstone.training import load_checkpoint


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parent / "importable")
    import diverging_studies

    return diverging_studies


def names(out: Path) -> set[str]:
    return {folder.name for folder in evidence_folder(out).iterdir()}


def test_the_state_before_a_loss_that_is_not_finite_is_kept(studies: ModuleType, tmp_path: Path) -> None:
    run = run_study(studies.Exploding(), "smoke", out=tmp_path, jobs=1)
    on_record = {each.key.seed: each for each in recorded(Store(tmp_path), "exploding")}
    assert [bool(each.record.diverged) for each in on_record.values()] == [False, True, True, True]
    assert names(tmp_path) == {folder_name(on_record[seed].key) for seed in (1, 2, 3)}
    for seed in (1, 2, 3):
        saved = load_checkpoint(evidence_folder(tmp_path) / folder_name(on_record[seed].key))
        assert saved is not None
        assert (saved.step, saved.state["batch"]) == (2, torch.inf)
        assert saved.state["players"]["player"]["model"]["w"] == seed - 1.0
    assert list((tmp_path / "scratch").iterdir()) == []
    assert "in the folder <code>evidence</code> beside the records" in render_report(run)
    assert all(f"record {each.id}" in render_report(run) for each in on_record.values())
    assert "evidence" not in render_report(run_study(studies.Careful(), "paper", out=tmp_path, jobs=0))


def test_the_last_few_are_kept_and_those_of_older_code_go(studies: ModuleType, tmp_path: Path) -> None:
    study, version = studies.Exploding(), code_version(studies.Exploding())
    for name in ("exploding.0123456789ab.old", "other.0123456789ab.old"):
        (evidence_folder(tmp_path) / name).mkdir(parents=True)
    run_study(study, "laptop", out=tmp_path, jobs=0)
    diverged = [each.key for each in recorded(Store(tmp_path), "exploding") if each.record.diverged]
    assert len(diverged) == KEPT + 2
    assert names(tmp_path) == {"other.0123456789ab.old", *map(folder_name, diverged[-KEPT:])}
    assert all(key.code_version == version for key in diverged)


def test_what_is_no_evidence_or_cannot_be_moved_stops_no_record(studies: ModuleType, tmp_path: Path) -> None:
    run_study(studies.Careless(), "smoke", out=tmp_path, jobs=0)
    assert not evidence_folder(tmp_path).exists(), "it raised, but saved nothing"
    (key,) = (each.key for each in recorded(Store(tmp_path), "careless-comparison") if each.record.diverged)
    scratch = tmp_path / "scratch" / "fit" / "non-finite"
    (scratch / "step-00000001").mkdir(parents=True)
    keep_evidence(tmp_path, key, {"accuracy": 0.5}, scratch.parent.parent)
    assert not evidence_folder(tmp_path).exists(), "its search has met it and gone on"
    evidence_folder(tmp_path).touch()
    keep_evidence(tmp_path, key, NoMetrics("inf"), scratch.parent.parent)
    assert scratch.is_dir()
    evidence_folder(tmp_path).unlink()
    keep_evidence(tmp_path, key, NoMetrics("inf"), scratch.parent.parent)
    assert names(tmp_path) == {folder_name(key)}
