"""The claims about learning without labels: their rules on planted records, and that budgets are equal."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from torchstone.lab import Context, Record, Status, Study, Trial, Unavailable, Verdict
from torchstone.lab.audit import audit
from torchstone.lab.divergence import NoMetrics
from torchstone.nets import NIN
from torchstone.selfsup import AET
from torchstone.studies.selfsup import pretraining
from torchstone.studies.selfsup.equal_budgets_shrink_the_margin import (
    SHORT,
    SHORT_AFFINE,
    SHORT_ROTNET,
    EqualBudgets,
)
from torchstone.studies.selfsup.picture_sets import Split, parts_of
from torchstone.studies.selfsup.predicting_transformations_beats_autoencoding import PredictingTransformations
from torchstone.studies.selfsup.pretraining import (
    AFFINE,
    LAST,
    LINEAR,
    METHODS,
    MIDDLE,
    NEAREST,
    PIXELS,
    RANDOM,
    ROTNET,
    TWO_TURNS,
    Budget,
    planned,
    pretrained_outcome,
)
from torchstone.studies.selfsup.scores import common_seeds, points_ahead

GLYPHS = Split("glyphs", 16, 12, 120, 32)
Leads = dict[str, float]


def planted(
    study: Study, leads: Leads, *, spread: float = 0.3, error: float = 0.5, linear: float = 0.0, last: float = 0.0
) -> list[Record]:
    """A record of every trial of the laptop scale: seeds differ far more than methods do.

    ``linear`` is added to AET's lead by the linear probe alone, ``last`` to its accuracies in the last layer.
    """
    generator = torch.Generator().manual_seed(0)
    records = []
    for trial in study.trials(study.scales["laptop"]):
        noise = spread * torch.randn(4, generator=generator)
        level = 70 + 3 * (trial.seed % 4) + leads.get(trial.arm, 0.0)
        ours = trial.arm == AFFINE
        metrics = {
            f"{MIDDLE}/{LINEAR}": level + float(noise[0]) + linear * ours,
            f"{MIDDLE}/{NEAREST}": level + 10 + float(noise[1]),
            f"{LAST}/{LINEAR}": level + float(noise[2]) + last * ours,
            f"{LAST}/{NEAREST}": level + float(noise[3]) + last * ours,
        }
        if ours:
            metrics |= {"error": error, "squared_error": 0.389 * error}
        records.append(Record(trial, metrics, {}, 1.0))
    return records


def diverged(records: Sequence[Record], arm: str) -> list[Record]:
    """The same, with the first trial of ``arm`` diverged."""
    place = next(i for i, record in enumerate(records) if record.trial.arm == arm)
    lost = Record(records[place].trial, NoMetrics("The loss was NaN"), {}, 1.0)
    return [*records[:place], lost, *records[place + 1 :]]


class TestPredictingTransformations:
    study = PredictingTransformations()

    def judged(self, leads: Leads, **options: float) -> Verdict:
        return self.study.judge(planted(self.study, leads, **options))

    @pytest.mark.parametrize(
        ("ahead", "expected"),
        [(3.0, Status.CONFIRMED), (0.8, Status.WEAKER), (0.0, Status.ABSENT), (-3.0, Status.OPPOSITE)],
    )
    def test_finds_the_planted_lead_between_seeds_that_differ_far_more(self, ahead: float, expected: Status) -> None:
        spread = 0.1 if expected in (Status.ABSENT, Status.WEAKER) else 0.3
        assert self.judged({AFFINE: ahead}, spread=spread).status is expected

    def test_a_lead_that_seeds_disagree_on_is_inconclusive(self) -> None:
        assert self.judged({AFFINE: 1.0}, spread=4.0).status is Status.INCONCLUSIVE

    @pytest.mark.parametrize("rival", [PIXELS, RANDOM])
    def test_has_to_beat_both(self, rival: str) -> None:
        assert self.judged({AFFINE: 3.0, rival: 3.0}, spread=0.1).status is Status.ABSENT
        assert self.judged({AFFINE: 3.0, rival: 6.0}).status is Status.OPPOSITE

    def test_has_to_beat_them_by_both_probes(self) -> None:
        assert self.judged({}, linear=5.0, spread=0.1).status is Status.ABSENT
        assert self.judged({AFFINE: 3.0}, linear=-6.0).status is Status.OPPOSITE

    @pytest.mark.parametrize(("error", "expected"), [(0.85, Status.WEAKER), (0.99, Status.ABSENT)])
    def test_without_having_learned_the_task_nothing_is_confirmed(self, error: float, expected: Status) -> None:
        assert self.judged({AFFINE: 3.0}, error=error).status is expected

    def test_rotnet_and_the_last_layer_decide_nothing(self) -> None:
        verdict = self.judged({AFFINE: 3.0, ROTNET: 9.0}, last=-20.0)
        assert verdict.status is Status.CONFIRMED
        (last, *_) = [check for check in verdict.checks if check.name.startswith("last layer")]
        assert last.estimate.high < 0

    def test_a_diverged_trial_leaves_its_checks_inconclusive(self) -> None:
        records = diverged(planted(self.study, {AFFINE: 3.0}), PIXELS)
        assert self.study.judge(records).status is Status.INCONCLUSIVE

    def test_the_sentence_names_each_lead(self) -> None:
        sentence = self.judged({AFFINE: 3.0, PIXELS: 1.0}, spread=0.0).sentence
        assert "lead is +2.0 points over the auto-encoder and +3.0 over random weights" in sentence


class TestEqualBudgets:
    study = EqualBudgets()

    def judged(self, leads: Leads, **options: float) -> Verdict:
        return self.study.judge(planted(self.study, leads, **options))

    @pytest.mark.parametrize(
        ("leads", "expected"),
        [
            ({AFFINE: 2.0, ROTNET: 2.0}, Status.CONFIRMED),
            ({AFFINE: 2.0, ROTNET: 1.25}, Status.WEAKER),  # a lead of 0.75 points is left
            ({AFFINE: 2.0, ROTNET: 0.5}, Status.ABSENT),  # of 1.5
            ({AFFINE: 4.0, ROTNET: 1.0}, Status.OPPOSITE),  # of 3
        ],
    )
    def test_finds_what_became_of_the_planted_lead(self, leads: Leads, expected: Status) -> None:
        assert self.judged(leads, spread=0.1).status is expected

    def test_seeds_that_contradict_one_another_are_inconclusive(self) -> None:
        assert self.judged({AFFINE: 2.0, ROTNET: 1.5}, spread=3.0).status is Status.INCONCLUSIVE

    def test_without_a_lead_to_begin_with_it_says_so(self) -> None:
        behind, ahead = (self.judged({AFFINE: lead, ROTNET: 2.0}) for lead in (-1.0, 1.5))
        assert behind.sentence.endswith("So here AET had no lead to lose.")
        assert "no lead" not in ahead.sentence

    def test_two_turns_and_short_budgets_decide_nothing(self) -> None:
        leads = {AFFINE: 2.0, ROTNET: 2.0, TWO_TURNS: -9.0, SHORT_AFFINE: 50.0, SHORT_ROTNET: 50.0}
        assert self.judged(leads, spread=0.1).status is Status.CONFIRMED

    def test_a_diverged_trial_leaves_its_checks_inconclusive(self) -> None:
        records = diverged(planted(self.study, {AFFINE: 2.0, ROTNET: 2.0}), ROTNET)
        assert self.study.judge(records).status is Status.INCONCLUSIVE

    def test_the_short_budget_is_that_of_the_released_codes(self) -> None:
        steps = {trial.arm: trial.config["budget"]["steps"] for trial in self.study.trials(self.study.scales["laptop"])}
        assert steps[SHORT_ROTNET] == steps[SHORT_AFFINE] == 267
        assert steps[ROTNET] == steps[AFFINE] == 1000
        assert all(arm.removesuffix(SHORT) in (*METHODS, RANDOM) for arm in steps)


@pytest.mark.parametrize("study", [PredictingTransformations(), EqualBudgets()])
@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_the_audit_finds_equal_budgets(study: Study, scale: str) -> None:
    assert audit(study, scale=scale) == []


@pytest.mark.parametrize("study", [PredictingTransformations(), EqualBudgets()])
def test_cifar_must_be_the_users(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
    trial = study.trials(study.scales["paper"])[0]
    with pytest.raises(Unavailable, match="cifar10"):
        study.run(trial, Context(torch.device("cpu"), tmp_path))


@pytest.mark.parametrize("study", [PredictingTransformations(), EqualBudgets()])
def test_power_is_that_of_primary_checks_and_of_the_laptop_scale_alone(study: Study) -> None:
    primary = {check.name for check in study.judge(planted(study, {})).checks if check.primary}
    declared = study.power(study.scales["laptop"])
    assert declared
    assert set(declared) <= primary
    assert all(0.5 < chance <= 1 for chance in declared.values())
    assert study.power(study.scales["smoke"]) == study.power(study.scales["paper"]) == {}


@pytest.mark.parametrize("study", [PredictingTransformations(), EqualBudgets()])
def test_names_of_checks_differ_and_are_whole_in_a_terminal(study: Study) -> None:
    names = [check.name for check in study.judge(planted(study, {})).checks]
    assert len(set(names)) == len(names)
    assert [name for name in names if len(name) > 45] == []


class TestParts:
    def test_are_disjoint_whole_and_those_of_the_seed(self) -> None:
        parts, again, other = (parts_of(GLYPHS, seed) for seed in (0, 0, 1))
        assert (len(parts.labelled.images), len(parts.tests.images)) == (120, 32)
        assert len(parts.unlabelled.images) == 160 - 120
        assert torch.equal(parts.labelled.images, again.labelled.images)
        assert not torch.equal(parts.labelled.images, other.labelled.images)
        assert parts.tests.images.shape[1:] == (1, 12, 12)
        assert 0 <= parts.tests.images.min() <= parts.tests.images.max() <= 1

    def test_together_are_all_training_pictures(self) -> None:
        parts = parts_of(GLYPHS, 0)
        labels = torch.cat([parts.labelled.labels, parts.unlabelled.labels])
        assert torch.equal(labels.bincount(), torch.full((16,), 10))


class TestPretraining:
    BUDGET = Budget(width=6, passes=16, steps=2, schedule="cosine", labels=2, draws=1)

    @pytest.mark.parametrize("method", METHODS)
    def test_every_method_passes_as_many_pictures_in_a_step(
        self, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = 0

        def counted(self: NIN, x: torch.Tensor) -> torch.Tensor:
            nonlocal seen
            seen += len(x) if self.training else 0
            return forward(self, x)

        forward = NIN.forward
        monkeypatch.setattr(NIN, "forward", counted)
        pretrained_outcome(method, planned(method, 0, GLYPHS, self.BUDGET), Context(torch.device("cpu"), tmp_path))
        assert seen == self.BUDGET.passes * self.BUDGET.steps

    def test_is_a_function_of_the_trial(self, tmp_path: Path) -> None:
        trial = planned(AFFINE, 3, GLYPHS, self.BUDGET)
        first, second = (
            pretrained_outcome(AFFINE, trial, Context(torch.device("cpu"), tmp_path / name)) for name in "ab"
        )
        assert first.metrics == second.metrics
        assert set(first.metrics) == {"error", "squared_error"} | {
            f"{layer}/{probe}" for layer in (MIDDLE, LAST) for probe in (LINEAR, NEAREST)
        }

    def test_random_weights_are_where_every_method_starts(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        starts = []
        monkeypatch.setattr(
            pretraining, "pretrained", lambda method, start, *rest: starts.append(start) or _fake(start)
        )
        monkeypatch.setattr(pretraining, "errors", lambda learned, images: {})
        monkeypatch.setattr(pretraining, "UNTRAINED", 1)
        context = Context(torch.device("cpu"), tmp_path)
        found = [
            pretrained_outcome(arm, planned(arm, 0, GLYPHS, self.BUDGET), context).metrics
            for arm in (AFFINE, ROTNET, RANDOM)
        ]
        assert len(starts) == 2
        assert found[0] == found[1] == found[2]

    def test_supervised_learns_what_its_labels_say(self, tmp_path: Path) -> None:
        budget = Budget(width=6, passes=40, steps=60, schedule="cosine", labels=2, draws=1)
        context = Context(torch.device("cpu"), tmp_path)
        parts = parts_of(GLYPHS, 0)
        start = NIN(6, channels=1, seed=0)
        before = [weights.clone() for weights in start.parameters()]
        encoder = pretraining.supervised(start, parts, budget, 0, context)
        assert all(torch.equal(a, b) for a, b in zip(before, start.parameters(), strict=True))
        trained, untrained = (
            pretraining.accuracies(network, LAST, parts, budget, 0)[NEAREST] for network in (encoder, start)
        )
        assert trained > untrained

    def test_a_task_not_learned_costs_what_guessing_costs(self, tmp_path: Path) -> None:
        parts = parts_of(GLYPHS, 0)
        learned = pretraining.pretrained(ROTNET, NIN(6, channels=1, seed=0), parts, self.BUDGET, 0, _context(tmp_path))
        with torch.no_grad():
            for weights in learned.head_.parameters():
                weights.zero_()  # always says: not turned
        assert pretraining.errors(learned, parts.tests.images)["error"] == pytest.approx(1.0)


class TestScores:
    def test_pairs_are_those_of_common_seeds(self) -> None:
        records = [
            Record(Trial(arm, seed), {"x": value}, {}, 1.0)
            for arm, seed, value in [("a", 2, 5.0), ("a", 0, 3.0), ("b", 0, 1.0), ("b", 2, 1.0), ("b", 7, 99.0)]
        ]
        assert common_seeds(records, "a", "b") == [0, 2]
        assert points_ahead(records, "a", "b", "x").value == pytest.approx(3.0)


def _context(folder: Path) -> Context:
    return Context(torch.device("cpu"), folder)


def _fake(start: NIN) -> AET:
    """A method that has learned nothing."""
    method = METHODS[AFFINE].make(start)
    method.encoder_ = start
    assert isinstance(method, AET)
    return method
