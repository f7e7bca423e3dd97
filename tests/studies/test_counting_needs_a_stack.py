"""The claim about counting: its rule on planted records, what is trained and asked, and a training that is killed."""

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from scipy.stats import binomtest

from torchstone.lab import Context, Outcome, Record, Status, Trial
from torchstone.studies.programs.counting_drawing import right_by_size
from torchstone.studies.programs.counting_needs_a_stack import ARMS, CountingNeedsAStack, by_seed, tasks_of
from torchstone.studies.programs.counting_networks import (
    BRACKETS,
    LANGUAGES,
    LONGEST,
    LSTM,
    PLAIN,
    STACK,
    Exam,
    Setting,
    exam_of,
    lessons,
    network,
    shares,
    task_of,
)

STUDY = CountingNeedsAStack()
TASKS = (*LANGUAGES, BRACKETS)
SEEDS = 6
CPU = torch.device("cpu")


def jitter(seed: int) -> float:
    return 0.02 * math.sin(7 * seed + 1)


def planted(
    counting: tuple[float, float, float] = (0.9, 0.1, 0.3), brackets: tuple[float, float, float] = (0.9, 0.1, 0.3)
) -> list[Record]:
    """Shares of the stack, the plain network and the LSTM; they vary by seed, each network in its own way."""
    records = []
    for task in TASKS:
        for place, (arm, share) in enumerate(zip(ARMS, brackets if task == BRACKETS else counting, strict=True)):
            for seed in range(SEEDS):
                beyond = share + jitter(seed + 10 * place)
                metrics = {"all": beyond, "within": 1.0, "beyond": beyond, "parameters": 1000.0}
                metrics |= {"beyond, hardened": beyond} if arm == STACK else {}
                records.append(Record(Trial(arm, seed, {"task": task}), metrics, {}, 1.0))
    return records


class TestRule:
    def test_is_confirmed(self) -> None:
        verdict = STUDY.judge(planted())
        assert verdict.status is Status.CONFIRMED
        assert sum(check.primary for check in verdict.checks) == 6

    @pytest.mark.parametrize("group", ["counting", "brackets"])
    @pytest.mark.parametrize(
        ("shares", "status"),
        [
            ((0.9, 0.1, 0.75), Status.WEAKER),  # some lead over the LSTM
            ((0.9, 0.1, 0.9), Status.ABSENT),  # none: an LSTM counts as well
            ((0.6, 0.1, 0.9), Status.OPPOSITE),  # it counts better
            ((0.6, 0.9, 0.1), Status.OPPOSITE),  # the plain one does
            ((0.4, 0.0, 0.0), Status.WEAKER),  # a lead, but the stack does not go on
            ((0.0, 0.0, 0.0), Status.ABSENT),  # nobody learns
            ((math.nan, 0.1, 0.3), Status.INCONCLUSIVE),
        ],
    )
    def test_is_not_of_anything_else(self, group: str, shares: tuple[float, float, float], status: Status) -> None:
        assert STUDY.judge(planted(**{group: shares})).status is status

    def test_the_sentence_counts_what_failed(self) -> None:
        sentence = STUDY.judge(planted(counting=(1.0, 0.0, 0.3), brackets=(0.5, 0.0, 0.3))).sentence
        assert f"stack: 100% (counting), 50% (Dyck-2); 6 of {6 * SEEDS} trainings below 90%" in sentence
        assert "on 5 of 6 tasks" in sentence

    def test_the_papers_numbers_stand_beside_ours(self) -> None:
        rows = {check.name: check.reported for check in STUDY.judge(planted()).checks}
        assert rows["a^n b^2n, LSTM: share of all strings right"] == 0.75
        assert rows["Dyck-2, LSTM: share of all strings right"] is None

    def test_seeds_stay_together_and_tasks_are_averaged(self) -> None:
        records = [
            Record(Trial(STACK, seed, {"task": task}), {"beyond": 0.1 * seed + share}, {}, 1.0)
            for task, share in ((LANGUAGES[1], 0.2), (LANGUAGES[0], 0.0), (BRACKETS, 0.5))
            for seed in (1, 0)
        ]
        assert by_seed(records, STACK, LANGUAGES, "beyond") == pytest.approx([0.1, 0.2])
        assert tasks_of(records) == [*LANGUAGES[:2], BRACKETS]

    def test_power_is_that_of_the_rule_over_simulated_studies(self) -> None:
        scale, studies = STUDY.scales["laptop"], 100
        declared = STUDY.power(scale)
        noise = torch.randn(studies, 2, scale.seeds, generator=torch.Generator().manual_seed(0))
        confirmed: Counter[str] = Counter()
        for draws in noise.tolist():
            checks = STUDY.judge(simulated(draws)).checks
            confirmed.update(check.name for check in checks if check.primary and check.status is Status.CONFIRMED)
        assert set(declared) == {check.name for check in checks if check.primary}
        for name, chance in declared.items():
            assert binomtest(confirmed[name], studies, chance).pvalue > 0.001, name

    def test_nothing_is_declared_of_scales_without_a_pilot(self) -> None:
        assert STUDY.power(STUDY.scales["smoke"]) == STUDY.power(STUDY.scales["paper"]) == {}


def simulated(draws: list[list[float]]) -> list[Record]:
    """The stack as right, as far ahead and as variable as one hopes for: others do not vary."""
    return [
        Record(Trial(arm, seed, {"task": task}), {"beyond": share, "beyond, hardened": share, "all": share}, {}, 1.0)
        for task, sd, of_task in ((LANGUAGES[0], 0.2, draws[0]), (BRACKETS, 0.3, draws[1]))
        for seed, draw in enumerate(of_task)
        for arm, share in ((STACK, 0.75 + sd * draw), (PLAIN, 0.25), (LSTM, 0.25))
    ]


class TestLessonsAndExams:
    def test_strings_grow_up_to_the_greatest_n(self) -> None:
        growing = lessons(task_of("a^n b^n", 0), 80)
        longest = [growing.at(step).mask.sum(1).max() // 2 for step in range(0, 100, 10)]  # <s>, n a's, n b's
        assert longest[0] <= 2
        assert max(longest) == LONGEST
        assert longest[4] <= 11

    def test_every_n_is_asked_for_once_and_so_is_every_m(self) -> None:
        batch, sizes, trained = exam_of(task_of("a^n b^m c^(n+m)", 0))
        a, b, c = ((batch.inputs == number).sum(1) for number in (2, 3, 4))
        assert torch.equal(a, sizes)
        assert sorted(a.tolist()) == sorted(b.tolist()) == list(range(1, 61))
        assert torch.equal(c, a + b)
        assert trained == 19

    def test_brackets_are_of_any_even_length(self) -> None:
        batch, sizes, trained = exam_of(task_of(BRACKETS, 0))
        assert set(sizes.tolist()) == set(range(2, 81, 2))
        assert torch.equal(batch.scored.sum(1), sizes)
        assert trained == 20

    def test_an_exam_is_of_its_seed(self) -> None:
        one, same, other = (exam_of(task_of(BRACKETS, seed)).batch.inputs for seed in (0, 0, 1))
        assert torch.equal(one, same)
        assert not torch.equal(one, other)

    def test_shares_are_of_what_was_trained_on_and_of_what_was_not(self) -> None:
        exam = Exam(exam_of(task_of("a^n b^n", 0)).batch, torch.tensor([18, 19, 20, 21]), 19)
        found = shares(torch.tensor([1.0, 1.0, 0.0, 1.0]), exam)
        assert found == {"all": 0.75, "within": 1.0, "beyond": 0.5}

    def test_what_is_right_is_averaged_over_records_and_sizes(self) -> None:
        record = Record(
            Trial(STACK, 0), {}, {"sizes": torch.tensor([1, 2, 3, 3]), "right": torch.tensor([1.0, 0.0, 0.0, 1.0])}, 1.0
        )
        assert right_by_size([record], step=1) == ([1, 2, 3], [1, 0, 0.5])
        assert right_by_size([record, record], step=2) == ([1.5, 3.5], [0.5, 0.5])


def trial(arm: str, task: str, steps: int = 4) -> Trial:
    setting = Setting(rate=0.01, warming=0.3, growing=0.5, hidden=6, copies=2, noise=float(arm == STACK))
    return Trial(arm, 0, {"task": task, "steps": steps, **setting._asdict()})


class TestRun:
    @pytest.mark.parametrize("arm", ARMS)
    def test_a_killed_training_goes_on_as_if_nothing_had_happened(self, arm: str, tmp_path: Path) -> None:
        def kill(fraction: float, note: str) -> None:
            if fraction >= 0.5:
                raise KeyboardInterrupt

        def outcome(folder: str, kill_it: bool = False) -> Outcome:
            context = Context(CPU, tmp_path / folder, kill) if kill_it else Context(CPU, tmp_path / folder)
            return STUDY.run(trial(arm, "a^n b^n"), context)

        whole = outcome("whole")
        with pytest.raises(KeyboardInterrupt):
            outcome("killed", kill_it=True)
        resumed = outcome("killed")
        assert whole.metrics == resumed.metrics
        assert torch.equal(whole.artifacts["right"], resumed.artifacts["right"])

    def test_says_what_is_right_with_whole_actions_and_how_many_parameters_there_are(self, tmp_path: Path) -> None:
        found: Mapping[str, float] = STUDY.run(trial(STACK, BRACKETS), Context(CPU, tmp_path)).metrics
        assert set(found) == {"all", "within", "beyond", "beyond, hardened", "parameters"}
        sizes = {arm: sum(p.numel() for p in network(arm, 6, 6, 2, 0).parameters()) for arm in (STACK, PLAIN, LSTM)}
        assert found["parameters"] == sizes[STACK]
        assert sizes[PLAIN] < sizes[LSTM]
