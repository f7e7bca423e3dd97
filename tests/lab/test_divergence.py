"""Diverged trials: on record, shown, and never averaged away."""

import math
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstone.cli.progress import Lines
from torchstone.lab import Check, Diverged, Estimate, Event, Record, Store, Trial, render_report, run_study
from torchstone.lab import statistics as lab_statistics
from torchstone.lab.divergence import NoMetrics, divergence, judge
from torchstone.lab.encoding import decode_metrics, encode_metrics
from torchstone.lab.verdict import decide

REASON = "The loss of player 'model' was inf at step 7, so the fit stopped before that update"


@pytest.fixture
def studies(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(Path(__file__).parent / "importable")
    import diverging_studies

    return diverging_studies


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_diverged_trial_is_recorded_and_told_once(studies: ModuleType, tmp_path: Path, jobs: int) -> None:
    events: list[Event] = []
    run = run_study(studies.Careless(), "smoke", out=tmp_path, jobs=jobs, listen=events.append)
    assert [record.diverged for record in run.records] == ["", "", "", REASON]
    assert [(event.index, event.note) for event in events if event.kind == "finished" and event.note] == [(3, REASON)]
    events.clear()
    again = run_study(studies.Careless(), "smoke", out=tmp_path, jobs=0, listen=events.append)
    assert {event.kind for event in events} == {"reused"}
    assert events[3].note == again.records[3].diverged == REASON
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_rank_that_diverges_ends_its_trial_as_diverged(studies: ModuleType, tmp_path: Path) -> None:
    run = run_study(studies.Apart(), "smoke", out=tmp_path, jobs=0)
    assert [record.diverged for record in run.records] == ["Rank 1 went astray"]


def test_what_was_not_measured_reads_as_nan(studies: ModuleType, tmp_path: Path) -> None:
    record = run_study(studies.Careless(), "smoke", out=tmp_path, jobs=0).records[3]
    assert math.isnan(record.metrics["accuracy"])
    assert (dict(record.metrics), dict(record.artifacts), record.metrics.get("accuracy")) == ({}, {}, None)
    with pytest.raises(Diverged, match=r"no tensor 'weights' of a trial that diverged: The loss of player 'model'"):
        record.artifacts["weights"]


def test_without_a_rule_it_can_not_confirm(studies: ModuleType, tmp_path: Path) -> None:
    verdict = run_study(studies.Careless(), out=tmp_path, jobs=0).verdict
    assert verdict is not None
    assert verdict.status == "inconclusive"
    rows = [(check.name, check.estimate.value, check.status) for check in verdict.checks[1:]]
    assert rows == [("diverged trials, ours", 1.0, None), ("diverged trials, theirs", 1.0, None)]
    last = Store(tmp_path).last_verdict("careless-comparison")
    assert last is not None
    assert [check.name for check in last.verdict.checks] == [check.name for check in verdict.checks]


def test_with_a_stated_rule_it_counts_against_its_arm(studies: ModuleType, tmp_path: Path) -> None:
    run = run_study(studies.Careful(), out=tmp_path, jobs=0)
    theirs = [0.70, 0.10, 0.72, 0.73, 0.74, 0.75]
    ours = [0.90, 0.91, 0.10, 0.93, 0.94, 0.95]
    expected = lab_statistics.paired_difference(ours, theirs)
    assert run.verdict is not None
    gain = run.verdict.checks[0].estimate
    assert (gain.low, gain.high) == pytest.approx((expected.low, expected.high))


def test_a_rule_that_needs_its_tensors_is_inconclusive(studies: ModuleType, tmp_path: Path) -> None:
    run = run_study(studies.Curious(), out=tmp_path, jobs=0)
    assert run.verdict is not None
    assert run.verdict.status == "inconclusive"
    assert run.verdict.sentence == (
        f"Its rule cannot be applied. There is no tensor 'weights' of a trial that diverged: {REASON}."
    )
    assert '<h2 id="figures">' not in render_report(run)


def test_a_rule_that_says_diverged_of_sound_records_is_at_fault(studies: ModuleType) -> None:
    class Odd(studies.Careless):
        def judge(self, records: object) -> None:
            raise Diverged("I did")

    with pytest.raises(Diverged, match="I did"):
        judge(Odd(), [Record(Trial("ours", 0), {"accuracy": 0.9}, {}, 1.0)])


def test_the_report_shows_it(studies: ModuleType, tmp_path: Path) -> None:
    page = render_report(run_study(studies.Careless(), out=tmp_path, jobs=0))
    assert f"diverged: {REASON}".replace("'", "&#39;") in page
    assert "2 of 12 trials" in page
    assert "diverged trials, ours" in page
    assert "<dt>gain</dt> <dd>88 %</dd>" in page  # declared beforehand: power(0.1, 0.05, 6, threshold=0.02)


def test_progress_shows_it() -> None:
    lines: list[str] = []
    show = Lines(lines.append)
    for kind in ("finished", "reused"):
        show(Event(kind, Trial("ours", 2), 4, 12, 1.0, "loss is nan"))
    assert lines == [
        "[5/12] ours, seed 2: diverged: loss is nan",
        "[5/12] ours, seed 2: already on record, diverged: loss is nan",
    ]


@given(st.text())
def test_the_reason_comes_back(reason: str) -> None:
    back = decode_metrics(encode_metrics(NoMetrics(reason)))
    assert isinstance(back, NoMetrics)
    assert back.reason == reason


def test_a_metric_that_is_not_finite_is_a_divergence() -> None:
    assert divergence({"a": math.inf, "b": 1.0, "c": math.nan}) == "a is inf, c is nan"
    assert divergence({}) == ""


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.tuples(numbers, numbers, numbers).filter(lambda bounds: not bounds[1] > bounds[2]), st.floats(0.2, 1))
def test_nan_never_decides(bounds: tuple[float, float, float], threshold: float) -> None:
    estimate = Estimate(*bounds)
    if any(map(math.isnan, bounds)) or math.isinf(bounds[0]):
        assert decide(estimate, threshold, 0.1) == "inconclusive"
        assert Check.at_least("x", estimate, threshold, zone=0.1).status == "inconclusive"
        assert Check.near("x", estimate, 0.0, within=threshold).status == "inconclusive"


def test_an_interval_the_wrong_way_round_is_refused() -> None:
    with pytest.raises(ValueError, match=r"low must not lie above high, but the interval is \[0.9, 0.1\]"):
        Estimate(0.5, 0.9, 0.1)


ESTIMATES = {
    "mean_interval": lambda v: lab_statistics.mean_interval(v),
    "paired_difference": lambda v: lab_statistics.paired_difference(v, [0.0] * 10),
    "unpaired_difference": lambda v: lab_statistics.unpaired_difference(v, [0.0] * 10),
    "resampled_difference": lambda v: lab_statistics.resampled_difference(v, [0.0] * 10, train=9, test=1),
    "jackknife": lambda v: lab_statistics.jackknife(1.0, v),
    "bootstrap": lambda v: lab_statistics.bootstrap(v, seed=0),
    "bootstrap, median": lambda v: lab_statistics.bootstrap(v, lab_statistics.iqm, seed=0),
    "bootstrap_difference": lambda v: lab_statistics.bootstrap_difference(v, [0.0] * 10, paired=False, seed=0),
    "stratified_bootstrap": lambda v: lab_statistics.stratified_bootstrap([[each] for each in v], seed=0),
    "probability_of_improvement": lambda v: lab_statistics.probability_of_improvement([v], [[0.0] * 10]),
}


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ESTIMATES)
def test_no_estimate_averages_it_away(name: str, lost: float) -> None:
    estimate = ESTIMATES[name]([0.9, 0.8, lost, 0.9, 0.95, 0.85, 0.9, 0.7, 0.8, 0.9])
    assert (math.isnan(estimate.low), math.isnan(estimate.high)) == (True, True)
    assert Check.at_least("x", estimate, 0.1, zone=0.05).status == "inconclusive"


@pytest.mark.parametrize("lost", [math.nan, math.inf])
def test_no_test_rejects_by_it(lost: float) -> None:
    a, b = [1.0, 2.0, lost, 3.0, 4.0, 5.0], [0.0] * 6
    p_values = [
        lab_statistics.sign_test(a, b),
        lab_statistics.wilcoxon_test(a, b),
        lab_statistics.permutation_test(a, b, paired=True, seed=0),
    ]
    assert all(map(math.isnan, p_values))
    assert lab_statistics.holm([0.01, *p_values]) == [0.04, 1.0, 1.0, 1.0]
    assert math.isnan(lab_statistics.expected_best(a, 3))
