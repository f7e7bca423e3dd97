"""The protocol: equal budgets, fresh seeds, one look at the test, and the same bits after kills."""

import importlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from torchstone.lab import Diverged, Record, Run, Trial, TrialsFailedError, write_report
from torchstone.lab import runner as runner_module
from torchstone.lab.reality_check import Answer, Parts, RealityCheck
from torchstone.lab.reality_check.parts import classes_of, fingerprint
from torchstone.lab.reality_check.results import comparison
from torchstone.lab.search import linear, log, sobol_setting

HERE = Path(__file__).parent / "importable"


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The small checks, with a folder of their own; trainings leave a line each in a file there."""
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("REALITY_CHECK_OUT", str(tmp_path))
    monkeypatch.setattr(runner_module, "available_cores", lambda: 1)
    import reality_checks

    return importlib.reload(reality_checks)


def trainings(folder: Path) -> list[str]:
    return (folder / "trainings.log").read_text().splitlines()


def of(run: Run, arm: str) -> list[Record]:
    return [record for record in run.records if record.trial.arm == arm]


def test_every_method_gets_the_same_and_nothing_of_the_test_classes(toys: ModuleType, tmp_path: Path) -> None:
    run = toys.check.run()
    lines = trainings(tmp_path)
    for name in ("Whitened", "Coloured"):
        mine = [line.split(maxsplit=4) for line in lines if line.startswith(name)]
        assert len(mine) == 4 * 2 + 4 * 2
        assert {steps for _, _, _, steps, _ in mine} == {"7"}
        search, fresh = mine[:8], mine[8:]
        assert {seed for _, seed, *_ in search} == {"0", "1"}
        assert [seed for _, seed, *_ in fresh] == [str(seed) for seed in range(2, 10)]
        assert len({ridge for _, _, ridge, *_ in fresh}) == 1
        assert {classes for *_, classes in mine} == {"[0, 1, 2]", "[3, 4, 5]"}
    assert toys.check.audit() == []
    assert [record.metrics["test_openings"] for record in run.records] == [1.0] * 8


def test_scores_are_those_of_the_protocol_done_by_hand(toys: ModuleType) -> None:
    check = toys.check
    check.run()
    parts = toys.halves(toys.gaussians(), 2)

    def embeddings(ridge: float, seed: int, fold: int, data: Any) -> Tensor:
        method = toys.Whitened(toys.Ridge(ridge), 2 * seed + fold)
        method.fit(parts.folds[fold][0], steps=7)
        return method.embed(data)  # type: ignore[no-any-return]

    ridges = [sobol_setting(toys.Ridge, seed=0, arm="whitened", k=k).ridge for k in range(4)]
    validation = [
        np.mean([float(toys.nearest(embeddings(r, 0, f, parts.folds[f][1]), parts.folds[f][1])) for f in (0, 1)])
        for r in ridges
    ]
    assert check.validation_scores("whitened") == pytest.approx(validation)
    best = ridges[int(np.argmax(validation))]
    separated, whole = [], []
    for seed in (1, 2, 3, 4):
        both = [embeddings(best, seed, fold, parts.test) for fold in (0, 1)]
        separated.append(np.mean([float(toys.nearest(each, parts.test)) for each in both]))
        joined = torch.cat([normalize(each) for each in both], 1)
        whole.append(float(toys.nearest(joined, parts.test)))
    row = check.table()[0]
    assert (row.method, row.setting, row.validation) == ("whitened", {"ridge": best}, max(validation))
    assert row.separated.value == pytest.approx(np.mean(separated))
    assert row.concatenated.value == pytest.approx(np.mean(whole))
    assert row.separated.low < row.separated.value < row.separated.high


def test_compare_finds_planted_effects_and_their_absence(toys: ModuleType, tmp_path: Path) -> None:
    check = toys.make(
        {**toys.METHODS, "twin": (toys.Twin, toys.Ridge)}, zone=0.15, reproductions=6, controls={"raw": toys.Raw}
    )
    run = check.run()
    assert check.compare("whitened", "coloured").answer is Answer.BETTER
    assert check.compare("coloured", "whitened").answer is Answer.WORSE
    assert check.compare("whitened", "raw", embeddings="separated").answer is Answer.BETTER
    assert check.compare("whitened", "twin", zone=1.0).answer is Answer.EQUIVALENT
    a, b = check.compare("whitened", "coloured"), check.compare("coloured", "whitened")
    assert a.difference.value == -b.difference.value
    assert run.verdict is not None
    assert [each.name for each in run.verdict.checks[:3]] == [
        "whitened - coloured",
        "whitened - twin",
        "coloured - twin",
    ]
    assert run.verdict.status == "opposite"
    assert check.table()[-1].setting == {}
    assert "(ridge" in str(check.table()[0])
    assert str(a).endswith("zone 0.15: better")
    assert "whitened" in write_report(run, tmp_path).read_text()


@pytest.mark.parametrize(
    ("ours", "answer"),
    [
        ([0.71, 0.72, 0.73], Answer.BETTER),
        ([0.53, 0.54, 0.57], Answer.BETTER),  # surely better, perhaps by less than the zone
        ([0.50, 0.51, 0.52], Answer.EQUIVALENT),
        ([0.30, 0.31, 0.32], Answer.WORSE),
        ([0.30, 0.61, 0.72], Answer.UNDECIDED),
        ([0.71, 0.72, float("nan")], Answer.UNDECIDED),
        ([0.90], Answer.UNDECIDED),
    ],
)
def test_answers_follow_the_interval_of_pairs(ours: Sequence[float], answer: Answer) -> None:
    theirs = [0.50, 0.508, 0.52]
    records = [
        Record(Trial(arm, seed), {"separated": value}, {}, 1.0)
        for arm, values in (("ours", ours), ("theirs", theirs[: len(ours)]))
        for seed, value in enumerate(values)
    ]
    assert comparison(records[::-1], "ours", "theirs", 0.04, "separated").answer is answer


def test_what_is_on_record_is_not_run_again(toys: ModuleType, tmp_path: Path, bits: Callable[[Any], object]) -> None:
    first = toys.check.run()
    count = len(trainings(tmp_path))
    again = toys.make()
    assert bits(again.run().records) == bits(first.records)
    assert len(trainings(tmp_path)) == count
    toys.make(seed=1).run()
    assert len(trainings(tmp_path)) == 2 * count
    seeds = {line.split()[1] for line in trainings(tmp_path)[count:]}
    assert not seeds & {line.split()[1] for line in trainings(tmp_path)[:count]}
    toys.make(reproductions=5).run()
    assert len(trainings(tmp_path)) == 2 * count + 2 * 2, "one more reproduction of two methods with two folds"
    other = replace(toys.gaussians(), x=toys.gaussians().x + 1)
    RealityCheck(
        toys.METHODS, other, toys.halves, metric=toys.nearest, zone=0.1, settings=1, steps=7, folds=2, out=tmp_path
    ).run()
    assert len(trainings(tmp_path)) == 2 * count + 4 + 2 * (2 + 5 * 2), "of other data nothing is on record"


def test_killed_processes_leave_the_bits_of_an_undisturbed_run(
    toys: ModuleType, tmp_path: Path, bits: Callable[[Any], object]
) -> None:
    killed = toys.killed.run(jobs=1)
    assert {path.name for path in tmp_path.glob("killed-*")} == {"killed-1", "killed-9"}
    alone = toys.make(
        {"whitened": (toys.Whitened, toys.Ridge), "killed": (toys.Killed, toys.Ridge)}, out=tmp_path / "b"
    ).run()
    assert bits(killed.records) == bits(alone.records)
    assert [record.metrics["test_openings"] for record in killed.records] == [1.0] * 8


def test_a_run_that_is_killed_goes_on_where_it_was(
    toys: ModuleType, tmp_path: Path, bits: Callable[[Any], object]
) -> None:
    command = [sys.executable, "-c", "from reality_checks import killed; killed.run()"]
    environment = os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    endings = [subprocess.run(command, env=environment, stderr=subprocess.PIPE) for _ in range(3)]
    assert [ended.returncode for ended in endings] == [-signal.SIGKILL, -signal.SIGKILL, 0], endings[-1].stderr
    names = [line.split()[0] for line in trainings(tmp_path)]
    assert names.count("Whitened") == 16, "none of what was on record is trained again"
    assert names.count("Killed") == 16 + 1 + 2, "a training of the search, and the two of a reproduction, are"
    on_record = toys.killed.run()
    alone = toys.make(
        {"whitened": (toys.Whitened, toys.Ridge), "killed": (toys.Killed, toys.Ridge)}, out=tmp_path / "b"
    ).run()
    assert bits(on_record.records) == bits(alone.records)


def test_processes_need_a_check_that_they_can_find(toys: ModuleType) -> None:
    with pytest.raises(ValueError, match="cannot be imported by other processes"):
        toys.make().run(jobs=1)


def test_a_setting_that_diverges_never_wins_and_a_method_of_such_is_refused(toys: ModuleType) -> None:
    check = toys.make({"whitened": (toys.Whitened, toys.Ridge), "fragile": (toys.Fragile, toys.Ridge)}, settings=8)
    check.run()
    assert check.table()[1].setting["ridge"] >= 100
    scores = check.validation_scores("fragile")
    assert sum(np.isnan(scores)) > 4
    assert [str(each.fault) for each in check.audit()] == ["unequal budgets"]

    @dataclass(frozen=True)
    class Small:
        ridge: float = log(1.0, 10.0)

    with pytest.raises(
        Diverged, match="All 4 settings of 'fragile' diverged, the first because The ridge is too small"
    ):
        toys.make({"whitened": (toys.Whitened, toys.Ridge), "fragile": (toys.Fragile, Small)}).run()


def test_the_audit_finds_planted_unfairness(toys: ModuleType) -> None:
    @dataclass(frozen=True)
    class Cropped:
        ridge: float = log(1e-3, 1e3)
        crop: int = 227

    @dataclass(frozen=True)
    class Larger:
        ridge: float = log(1e-3, 1e3)
        crop: int = 256

    class Wide(toys.Whitened):  # type: ignore[misc]
        def embed(self, data: Any) -> Tensor:
            return torch.cat([super().embed(data), torch.zeros(len(data.x), 2)], 1)

    check = toys.make(
        {"plain": (toys.Whitened, Cropped), "wide": (Wide, Larger)}, split=toys.leaking, settings=1, reproductions=1
    )
    run = check.run()
    found = [str(finding) for finding in check.audit()]
    assert "missing interval: 'plain' has one seed: it can have no interval." in found
    assert "shared classes: 3 classes of the test part are also in training in fold 0, such as 3." in found
    assert "differing embeddings: Dimensions of an embedding: 'plain' 6, 'wide' 8." in found
    assert "differing preprocessing: The recipes fix crop: 'plain' 227, 'wide' 256." in found
    assert check.compare("plain", "wide").answer is Answer.UNDECIDED

    def tampered(record: Record) -> Record:
        search = {**record.trial.config["search"], "settings": 50, "selected_on": "test"}
        trial = replace(record.trial, config={**record.trial.config, "search": search})
        return replace(record, trial=trial, metrics={**record.metrics, "test_openings": 3.0})

    check._run = replace(run, records=[run.records[0], tampered(run.records[1])])
    found = [str(finding) for finding in check.audit()]
    assert "unequal budgets: Settings tried for a seed: 'plain' 1, 'wide' 50." in found
    assert "selection on test: 'wide' selects its setting on 'test', not on validation data." in found
    assert any("'wide' opened the test split 3 times" in each for each in found)


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"methods": {}}, ValueError, "two or more names"),
        ({"methods": {"a": 1, "b": 2}}, TypeError, "maps to 1"),
        ({"settings": 0}, ValueError, "settings must be a whole number above 0"),
        ({"folds": 2.0}, ValueError, "folds must be"),
        ({"reproductions": 1000}, ValueError, "at most 999"),
        ({"zone": 0.0}, ValueError, "zone must be"),
        ({"zone": float("nan")}, ValueError, "zone must be"),
        ({"sampler": "tpe"}, ValueError, "sampler must be one of random, sobol"),
        ({"name": "Two Words"}, ValueError, "name must be lower-case words"),
        ({"controls": {"whitened": int}}, ValueError, "that no method has"),
    ],
)
def test_arguments_are_refused(
    toys: ModuleType, changes: Mapping[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        toys.make(**changes)


@pytest.mark.parametrize(
    ("embeddings", "words"),
    [
        (torch.zeros(3), r"matrix \(n, d\), but its shape is \(3,\)"),
        (torch.zeros(3, 2, dtype=torch.int64), "floating point, but it gave torch.int64"),
        ([1.0], "floating point, but it gave list"),
    ],
)
def test_embeddings_are_refused(toys: ModuleType, embeddings: object, words: str) -> None:
    class Wrong(toys.Whitened):  # type: ignore[misc]
        def embed(self, data: Any) -> Any:
            return embeddings

    with pytest.raises(TrialsFailedError, match=words):
        toys.make({"wrong": (Wrong, toys.Ridge), "good": (toys.Whitened, toys.Ridge)}, settings=1).run()


def test_splits_and_metrics_are_refused(toys: ModuleType) -> None:
    with pytest.raises(TrialsFailedError, match="split must give the 2 folds that it was asked for, but it gave 0"):
        toys.make(split=lambda data, folds: Parts([], data)).run()
    with pytest.raises(TrialsFailedError, match="split must give Parts"):
        toys.make(split=lambda data, folds: [data]).run()
    with pytest.raises(TrialsFailedError, match="metric must give one number"):
        toys.make(metric=lambda embeddings, data: embeddings).run()


def test_results_need_a_run_and_known_names(toys: ModuleType) -> None:
    for ask in (toys.check.table, toys.check.audit, lambda: toys.check.compare("whitened", "coloured")):
        with pytest.raises(RuntimeError, match="call run"):
            ask()
    with pytest.raises(RuntimeError, match="call run"):
        toys.check.validation_scores("whitened")
    toys.check.run()
    for a, b, words in (("x", "whitened", "a must be one of"), ("whitened", "whitened", "two methods")):
        with pytest.raises(ValueError, match=words):
            toys.check.compare(a, b)
    with pytest.raises(ValueError, match="embeddings must be one of"):
        toys.check.compare("whitened", "coloured", embeddings="both")
    with pytest.raises(ValueError, match="method must be one of"):
        toys.check.validation_scores("x")


def test_fingerprints_see_values_dtypes_and_shapes() -> None:
    @dataclass
    class Pair:
        x: object

    different = [
        torch.zeros(4), torch.zeros(2, 2), torch.zeros(4, dtype=torch.float64), np.zeros(4), [torch.zeros(4)],
        {"x": torch.zeros(4)}, Pair(torch.zeros(4)), Pair(torch.ones(4)), torch.tensor(0.0), "0", 0, None, [],
        torch.zeros(4, dtype=torch.bfloat16), Path("a"), Path("b"), np.int64(3), np.int64(4), {1, 2}, {1, 3}, 1j,
    ]  # fmt: skip
    assert len({fingerprint(each) for each in different}) == len(different)
    assert fingerprint(torch.arange(6).view(2, 3).T) == fingerprint(torch.arange(6).view(2, 3).T.contiguous())
    assert fingerprint({"b", "a"}) == fingerprint({"a", "b"})
    assert classes_of([torch.zeros(2, 2), np.array([5, 5])]) == frozenset({5})
    assert classes_of(torch.zeros(2)) is None


def test_the_code_of_methods_counts(toys: ModuleType) -> None:
    @dataclass(frozen=True)
    class Here:
        ridge: float = linear(1.0, 2.0)

    assert toys.make().shared == toys.check.shared
    assert replace(toys.check, seed=1).module == __name__
    assert toys.make({**toys.METHODS, "x": (toys.Whitened, Here)}).shared["code"] != toys.check.shared["code"]


def test_the_example_of_the_document_runs(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "reality-check.md").read_text(encoding="utf-8")
    (source,) = re.findall(r"```python\n(.*?)```", document, flags=re.DOTALL)
    (tmp_path / "fair.py").write_text(source, encoding="utf-8")
    ended = subprocess.run([sys.executable, "fair.py"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "triplet - pixels" in ended.stdout
    assert "contrastive: separated" in ended.stdout


def test_a_check_can_be_made_where_no_module_has_a_name(toys: ModuleType) -> None:
    names: dict[str, Any] = {"make": toys.RealityCheck, "of": lambda: (toys.METHODS, toys.gaussians(), toys.halves)}
    exec("check = make(*of(), metric=max, zone=0.1)", names)
    assert names["check"].module == "__main__"
    assert names["check"].reproducing.__qualname__ == "<locals>.check.reproducing"
