"""The claim about memories: its rule on planted records, and what its networks are made of and trained on."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from torchstone.lab import Context, Record, Status, Trial, Verdict
from torchstone.lab.audit import audit
from torchstone.lab.divergence import NoMetrics
from torchstone.programs.memory.tasks import Copy, Reversal, SequenceBatch, Task
from torchstone.studies.programs.memory_generalises_beyond_training_length import (
    FITTING,
    HARD_CHECK,
    LSTM_CHECK,
    LSTMS,
    PAPERS,
    SOFT_CHECK,
    WRONG,
    WRONG_CHECK,
    MemoryGeneralises,
)
from torchstone.studies.programs.transducers import HARD, SOFT, TIMES, Course, Setting, metric, network, transduced

STUDY = MemoryGeneralises()
LAPTOP, SMOKE = STUDY.scales["laptop"], STUDY.scales["smoke"]
COURSE = Course(3, 4, 5, 2, 3, 6, 7, "adam", 8)


def jitter(seed: int) -> float:
    return float(torch.randn((), generator=torch.Generator().manual_seed(seed)))


def planted(
    fits: float = 0.98,
    whole: float | None = None,
    lstm: float = 0.05,
    wrong: float = 0.02,
    failing: int = 0,
    only: str = "",
    paper: float = 0.3,
) -> list[Record]:
    """A record of every trial of the laptop scale; ``failing`` seeds of the arm ``only`` (or of all) fail."""
    records = []
    for place, trial in enumerate(STUDY.trials(LAPTOP)):
        fitting = trial.arm in FITTING
        right = fits if fitting else lstm if trial.arm in LSTMS else paper if trial.arm in PAPERS else wrong
        if fitting and trial.seed < failing and only in ("", trial.arm):
            right = 0.0
        soft = right + 0.005 * jitter(place)
        hard = soft if whole is None or not fitting else whole
        metrics = {metric(SOFT, times): soft for times in TIMES}
        if trial.config["memory"]:
            metrics |= {metric(HARD, times): hard for times in TIMES}
        records.append(Record(trial, metrics, {}, 1.0))
    return records


def judged(**options: float) -> Verdict:
    return STUDY.judge(planted(**options))  # type: ignore[arg-type]


def statuses(verdict: Verdict) -> dict[str, Status | None]:
    return {check.name: check.status for check in verdict.checks if check.primary}


class TestTheRule:
    def test_confirms_what_it_should(self) -> None:
        assert set(statuses(judged()).items()) == {
            (name, Status.CONFIRMED) for name in (SOFT_CHECK, HARD_CHECK, LSTM_CHECK, WRONG_CHECK)
        }

    @pytest.mark.parametrize(
        ("options", "status"),
        [
            ({"fits": 0.02, "lstm": 0.02}, Status.ABSENT),
            ({"fits": 0.85}, Status.ABSENT),  # right more often than not, but solved by none
            ({"whole": 0.0}, Status.ABSENT),
            ({"lstm": 0.98}, Status.ABSENT),
            ({"lstm": 0.5}, Status.WEAKER),
            ({"wrong": 0.4}, Status.WEAKER),
            ({"fits": 0.02, "lstm": 0.98}, Status.OPPOSITE),
            ({"fits": 0.02, "wrong": 0.98}, Status.OPPOSITE),
            ({"fits": math.nan}, Status.INCONCLUSIVE),
        ],
    )
    def test_is_not_of_anything_else(self, options: dict[str, float], status: Status) -> None:
        assert judged(**options).status is status

    def test_one_failure_is_forgiven_and_a_memory_that_never_learns_is_not(self) -> None:
        assert STUDY.judge(planted(failing=1, only="deque/copy")).status is Status.CONFIRMED
        assert STUDY.judge(planted(failing=LAPTOP.seeds, only="deque/copy")).status is Status.WEAKER

    def test_half_of_the_seeds_decide_nothing(self) -> None:
        assert STUDY.judge(planted(failing=LAPTOP.seeds // 2)).status is Status.INCONCLUSIVE

    def test_the_papers_way_decides_nothing(self) -> None:
        assert judged(paper=0.0).status is judged(paper=1.0).status is Status.CONFIRMED

    @pytest.mark.parametrize("arm", ["stack/reversal", "LSTM/copy", "stack/copy"])
    def test_a_diverged_network_leaves_it_open(self, arm: str) -> None:
        records = [
            replace(record, metrics=NoMetrics("The loss was NaN")) if record.trial == Trial(arm, 1, config) else record
            for record in planted()
            for config in [record.trial.config]
        ]
        verdict = STUDY.judge(records)
        assert verdict.status is Status.INCONCLUSIVE
        assert ("stack/reversal 1" in verdict.sentence) == (arm == "stack/reversal")

    def test_networks_that_all_diverged_are_drawn_as_no_dots(self) -> None:
        records = [replace(record, metrics=NoMetrics("The loss was NaN")) for record in planted()]
        assert len(STUDY.figures(records)) == 1

    def test_the_sentence_counts_failures(self) -> None:
        sentence = STUDY.judge(planted(failing=2, only="queue/copy")).sentence
        networks = 4 * LAPTOP.seeds
        assert sentence.startswith(f"Of {networks} networks with a memory that fits, {networks - 2} get nine in ten")
        assert "failures: queue/copy 2. The LSTM" in sentence
        assert "failures: none" in judged().sentence

    def test_names_of_checks_differ_and_are_whole_in_a_terminal(self) -> None:
        names = [check.name for check in judged().checks]
        assert len(set(names)) == len(names)
        assert [name for name in names if len(name) > 45] == []

    def test_power_is_that_of_primary_checks_and_of_the_laptop_scale_alone(self) -> None:
        declared = STUDY.power(LAPTOP)
        assert set(declared) <= set(statuses(judged()))
        assert all(0.5 < chance <= 1 for chance in declared.values())
        assert STUDY.power(SMOKE) == STUDY.power(STUDY.scales["paper"]) == {}


class TestThePlan:
    @pytest.mark.parametrize("scale", ["laptop", "paper"])
    def test_the_audit_finds_equal_budgets(self, scale: str) -> None:
        assert audit(STUDY, scale=scale) == []

    def test_every_fitting_memory_has_an_lstm_of_its_task(self) -> None:
        arms = {trial.arm for trial in STUDY.trials(LAPTOP)}
        assert {*FITTING, *LSTMS, *PAPERS, *WRONG, *WRONG.values()} == arms

    def test_the_paper_scale_has_all_five_tasks(self) -> None:
        tasks = {trial.config["task"] for trial in STUDY.trials(STUDY.scales["paper"])}
        assert tasks == {"copy", "reversal", "bigram flip", "SVO to SOV", "gender"}

    def test_lengths_of_the_exams_follow_one_another(self) -> None:
        course = LAPTOP.course
        assert [course.task("copy", times, 1, 0).lengths for times in TIMES] == [(1, 12), (13, 24), (25, 48)]
        assert STUDY.scales["paper"].course.task("reversal", 2, 1, 0).lengths == (65, 128)


def trial(memory: str | None, task: str = "copy", settings: int = 1) -> Trial:
    tuned = [list(Setting("RNN", 5, 1e-2, 0.5)) for _ in range(settings)]
    config = {"memory": memory, "task": task, "course": vars(COURSE), "settings": tuned}
    return Trial(f"{memory}/{task}", 3, config)


def context(folder: Path) -> Context:
    return Context(torch.device("cpu"), folder)


class TestNetworks:
    @pytest.mark.parametrize("memory", ["stack", "queue", "deque", None])
    def test_an_outcome_is_a_function_of_the_trial(self, memory: str | None, tmp_path: Path) -> None:
        first, again = (transduced(trial(memory), context(tmp_path / name)) for name in "ab")
        assert first.metrics == again.metrics
        exams = {metric(how, times) for how in (SOFT, *([HARD] if memory else [])) for times in TIMES}
        assert {name for name in first.metrics if "×" in name and "fine" not in name} == exams
        assert set(first.artifacts) == ({"words", "push", "pop", "strengths"} if memory else set())

    def test_the_trace_is_of_a_longest_sequence(self, tmp_path: Path) -> None:
        artifacts = transduced(trial("stack"), context(tmp_path)).artifacts
        assert len(artifacts["words"]) == len(artifacts["push"]) == 2 * COURSE.longest + 2

    def test_the_setting_of_the_least_loss_is_kept(self, tmp_path: Path) -> None:
        tuned = [list(Setting("RNN", 5, rate)) for rate in (1e-5, 3e-2, 1e-6)]
        both = replace(trial("stack"), config={**trial("stack").config, "settings": tuned})
        best = replace(both, config={**both.config, "settings": tuned[1:2]})
        found, alone = (transduced(each, context(tmp_path / name)) for each, name in ((both, "a"), (best, "b")))
        assert found.metrics == alone.metrics

    def test_a_setting_that_diverges_is_passed_over_unless_all_do(self, tmp_path: Path) -> None:
        good, bad = (list(Setting("RNN", 5, rate)) for rate in (1e-2, 1e35))
        one, both, neither = (
            replace(trial("stack"), config={**trial("stack").config, "settings": settings})
            for settings in ([good], [bad, good], [bad, bad])
        )
        found, expected = (transduced(each, context(tmp_path / name)) for each, name in ((both, "a"), (one, "b")))
        assert found.metrics == expected.metrics
        with pytest.raises(FloatingPointError, match="diverged with every setting"):
            transduced(neither, context(tmp_path / "c"))

    @pytest.mark.parametrize(("memory", "ends"), [("stack", 1), ("queue", 1), ("deque", 2)])
    def test_begin_as_the_setting_says(self, memory: str, ends: int) -> None:
        untouched, moved = (
            network(trial(memory), COURSE, Setting("LSTM", 5, 1e-2, bottom=bottom)) for bottom in (0.0, -3.0)
        )
        biases = [model.get_parameter("rnn.interface.bias").detach().view(ends, -1) for model in (untouched, moved)]
        assert isinstance(moved.get_submodule("rnn.cell"), nn.LSTMCell)
        shift = torch.zeros_like(biases[0])
        shift[1:, 0] = -3
        torch.testing.assert_close(biases[1], biases[0] + shift)

    def test_all_networks_of_a_task_and_seed_see_the_same_sequences_and_are_asked_for_others(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[Task, SequenceBatch]] = []
        at = Copy.at

        def spied(task: Copy, step: int) -> SequenceBatch:
            seen.append((task, at(task, step)))
            return seen[-1][1]

        monkeypatch.setattr(Copy, "at", spied)
        for memory in ("queue", None):
            transduced(trial(memory), context(tmp_path / str(memory)))
        taught = [batch for task, batch in seen if task.batch == COURSE.batch]
        assert len(taught) == 2 * COURSE.steps
        for ours, theirs in zip(taught[: COURSE.steps], taught[COURSE.steps :], strict=True):
            assert torch.equal(ours.inputs, theirs.inputs)
        seeds = {size: {task.seed for task, _ in seen if task.batch == size} for size in (COURSE.batch, COURSE.exam)}
        assert seeds == {COURSE.batch: {6}, COURSE.exam: {7}}

    def test_tasks_have_the_symbols_of_the_course(self) -> None:
        assert COURSE.task("reversal", 2, 3, 0) == Reversal(symbols=5, lengths=(4, 6), batch=3, seed=0)
