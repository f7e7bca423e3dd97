"""Running a recorded trial again: agreement to the bit, and what differs where there is none."""

import importlib
import math
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from torchstone.lab import Record, Store, Study, Trial, run_study
from torchstone.lab.differences import Difference, metric_differences, surroundings, tensor_differences
from torchstone.lab.divergence import NoMetrics
from torchstone.lab.recorded import Recorded, recorded
from torchstone.lab.reproduce import NotReproducibleError, reproduce
from torchstone.lab.store import Artifacts, Origin

HERE = Path(__file__).parent / "importable"


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(HERE)
    import toy_studies

    return toy_studies


@pytest.fixture
def two_threads() -> Iterator[None]:
    """This process computes with two threads."""
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


@pytest.fixture
def toy(toys: ModuleType, tmp_path: Path) -> Recorded:
    """The second trial of the toy on record: metrics, one of them NaN, and tensors."""
    run_study(toys.Toy(), "smoke", out=tmp_path / "runs", seed=1, jobs=0)
    return recorded(Store(tmp_path / "runs"), "toy")[1]


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_the_bits_agree_in_a_fresh_process_with_the_recorded_threads(
    two_threads: None, toys: ModuleType, toy: Recorded, tmp_path: Path
) -> None:
    before, kinds = files(tmp_path), []
    answer = reproduce(toy, toys.Toy(), tell=lambda message: kinds.append(message["kind"]))
    assert answer.agrees
    assert (answer.bits, answer.threads, answer.recorded) == ([], 2, toy)
    assert toy.record.metrics["threads"] == 2.0
    assert toy.key.seed == 1001
    assert answer.seconds > 0
    assert (kinds[0], kinds[-1]) == ("started", "finished")
    assert files(tmp_path) == before


def test_what_differs_is_told_with_what_may_be_the_reason(toys: ModuleType, toy: Recorded) -> None:
    origin = Origin({**toy.origin.environment, "torch": "1.0", "processor": "abacus"}, toy.origin.finished)
    metrics = {**toy.record.metrics, "sum": math.nextafter(toy.record.metrics["sum"], math.inf)}
    key = replace(toy.key, code_version="0123456789ab")
    answer = reproduce(Recorded(key, replace(toy.record, metrics=metrics), origin), toys.Toy())
    assert not answer.agrees
    (number,) = answer.bits
    assert (number.what, float(number.recorded), float(number.now)) == (
        "metric sum",
        metrics["sum"],
        toy.record.metrics["sum"],
    )
    assert {"code of the study", "torch", "processor"} <= {each.what for each in answer.surroundings}


def test_a_device_that_is_not_here(toys: ModuleType, toy: Recorded) -> None:
    with pytest.raises(NotReproducibleError, match=r"on another device\. device must be one that this machine has"):
        reproduce(toy._replace(key=replace(toy.key, device="cuda:99")), toys.Toy())


AGING = """
from toy_studies import Context, Outcome, Sequence, Toy, Trial, claim

class Aging(Toy):
    claim = claim("aging-toy")

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial("young", 7, {"zeta": {"width": (3, 2)}, "alpha": [0.1, None]})]

    def run(self, trial: Trial, context: Context) -> Outcome:
        assert trial == Trial("young", trial.seed, {"zeta": {"width": [3, 2]}, "alpha": [0.1, None]})
        width, depth = trial.config["zeta"]["width"]
        return Outcome({"share": trial.seed * width / depth, "order": "az".index(next(iter(trial.config))[0])})
"""


def aged(module: Path, old: str, new: str) -> Study:
    """The study of ``module`` with a change of its code."""
    module.write_text(module.read_text().replace(old, new))
    return importlib.reload(sys.modules[module.stem]).Aging()


def test_a_trial_that_nobody_plans_any_more_is_run_from_its_record_alone(
    toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = tmp_path / "aging_toy.py"
    module.write_text(AGING)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # two versions within a second would look the same
    run_study(importlib.import_module("aging_toy").Aging(), "smoke", out=tmp_path, seed=1, jobs=0)
    (record,) = recorded(Store(tmp_path), "aging-toy")
    assert record.record.trial == Trial("young", 1007, {"zeta": {"width": [3, 2]}, "alpha": [0.1, None]})

    older = aged(module, 'Trial("young", 7, {"zeta": {"width": (3, 2)}, "alpha": [0.1, None]})', 'Trial("old", 1)')
    answer = reproduce(record, older)
    assert answer.agrees
    assert [each.what for each in answer.surroundings] == ["code of the study"]

    forgetful = aged(module, 'trial.config["zeta"]["width"]', 'trial.config["iota"]["width"]')
    with pytest.raises(NotReproducibleError, match=r"The trial failed .*: code of the study \(was") as error:
        reproduce(record, forgetful)
    assert re.search(r"It was recorded by torchstone \S+, commit \S+; where the code has changed, go", str(error.value))
    assert str(error.value).endswith("KeyError: 'iota'")


def test_a_trial_that_fails_now_says_why(toys: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "mended").touch()
    run_study(toys.Failing(), "smoke", out=tmp_path, jobs=0)
    record = recorded(Store(tmp_path), "failing-toy")[1]
    failed = r"The trial failed .* changed since it was recorded: {}\. It was (.|\n)*ArithmeticError: the toy broke"
    with pytest.raises(NotReproducibleError, match=failed.format("nothing")):
        reproduce(record, toys.Failing())
    older = record._replace(origin=Origin({**record.origin.environment, "torch": "1.0"}, record.origin.finished))
    with pytest.raises(NotReproducibleError, match=failed.format(r"torch \(was 1\.0, is .*\)")):
        reproduce(older, toys.Failing())


def test_metrics_agree_when_every_bit_does() -> None:
    same = {"nan": math.nan, "inf": math.inf, "zero": 0.0, "tenth": 0.1}
    assert metric_differences(same, {**same, "nan": -math.nan}) == []
    now = {"nan": 0.0, "inf": -math.inf, "zero": -0.0, "tenth": math.nextafter(0.1, 1)}
    assert metric_differences(same, now) == [
        Difference("metric nan", "nan", "0.0"),
        Difference("metric inf", "inf", "-inf"),
        Difference("metric zero", "0.0", "-0.0"),
        Difference("metric tenth", "0.1", "0.10000000000000002"),
    ]
    assert metric_differences({"a": 1.0}, {"b": 2.0}) == [
        Difference("metric a", "1.0", "–"),
        Difference("metric b", "–", "2.0"),
    ]


def test_trials_that_diverged_agree_when_the_reason_does() -> None:
    then = NoMetrics("The loss was inf at step 7")
    assert metric_differences(then, NoMetrics("The loss was inf at step 7")) == []
    assert metric_differences(then, NoMetrics("The loss was inf at step 8")) == [
        Difference("diverged", "The loss was inf at step 7", "The loss was inf at step 8")
    ]
    assert metric_differences(then, {"a": 1.0}) == [
        Difference("diverged", "The loss was inf at step 7", "–"),
        Difference("metric a", "–", "1.0"),
    ]


def test_tensors_are_compared_one_by_one_where_their_file_differs(toy: Recorded, tmp_path: Path) -> None:
    now = {name: tensor.clone() for name, tensor in toy.record.artifacts.items()}
    now["x"][3, 4] += 0.5
    now["gram"] = now["gram"].double()
    now["new"] = now.pop("half")[:0]
    sha256 = store_tensors(tmp_path / "again", now)
    first, *each = tensor_differences(toy, sha256, tmp_path / "again")
    assert first == Difference("tensors, SHA-256", str(toy.sha256), sha256)
    assert sorted(each, key=lambda difference: difference.what) == [
        Difference("tensor gram", "float32 (40, 40)", "float64 (40, 40)"),
        Difference("tensor half", "float32 (20, 30)", "–"),
        Difference("tensor new", "–", "float32 (0, 30)"),
        Difference("tensor x", "float32 (40, 30)", "float32 (40, 30), up to 0.5 away"),
    ]
    assert tensor_differences(toy, toy.sha256, tmp_path) == []
    (none,) = tensor_differences(toy, None, tmp_path)[:1]
    assert none.now == "–"


def test_tensors_that_are_gone_are_told_by_their_hash(toy: Recorded, tmp_path: Path) -> None:
    sha256 = store_tensors(tmp_path / "again", {"x": torch.zeros(2)})
    gone = Artifacts(tmp_path / "gone.safetensors", "0" * 64)
    one = toy._replace(record=Record(toy.record.trial, toy.record.metrics, gone, 0.0))
    files, contents = tensor_differences(one, sha256, tmp_path / "again")
    assert (files.recorded, files.now) == ("0" * 64, sha256)
    assert "is missing" in contents.recorded


def test_surroundings_leave_out_when_it_was_and_what_ran_beside_it(toy: Recorded) -> None:
    now = {**toy.origin.environment, "date": "tomorrow", "jobs": "7"}
    assert surroundings(toy, toy.key.code_version, now) == []
    assert surroundings(toy, "other", now | {"numpy": "3", "new": "x"}) == [
        Difference("code of the study", toy.key.code_version, "other"),
        Difference("numpy", toy.origin.environment["numpy"], "3"),
        Difference("new", "–", "x"),
    ]


def store_tensors(folder: Path, tensors: dict[str, torch.Tensor]) -> str:
    """Put ``tensors`` where a run below ``folder`` would have put them."""
    from torchstone.files import write_tensors
    from torchstone.lab.store import artifact_path

    sha256 = write_tensors(folder / "staged", tensors)
    target = artifact_path(folder, sha256)
    target.parent.mkdir(parents=True)
    (folder / "staged").replace(target)
    return sha256
