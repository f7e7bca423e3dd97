"""The rule of the claim about classifiers on frozen embeddings, on planted records whose answer is known."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from torchstone.data import ImageSet
from torchstone.fewshot import evaluate_episodes
from torchstone.lab import Context, Record, Status, Trial, Verdict, audit
from torchstone.lab.divergence import NoMetrics
from torchstone.studies.fewshot.classifier import ClassifierHardlyMatters, settings
from torchstone.studies.fewshot.classifier_tables import (
    ARMS,
    FEWER,
    HEADS,
    SHOTS,
    TRAINED,
    UNTRAINED,
    metric,
    share,
    tables_of,
)
from torchstone.studies.fewshot.frozen import GRID, Task, base_classes, chosen_c, episodes_of, pictures_of

SEEDS = 8
LEVEL = {UNTRAINED: 20.0, FEWER: 60.0, TRAINED: 80.0}


def planted(
    spread: float = 3.0,
    gain: float = 20.0,
    *,
    worst: str = "neighbour",
    noise: float = 0.5,
    data: tuple[str, ...] = ("glyphs", "omniglot"),
    five: float | None = None,
) -> list[Record]:
    """Classifiers alike but for the ``worst`` one, embeddings ``gain`` apart; seeds differ far more."""
    generator = torch.Generator().manual_seed(0)
    records = []
    for pictures in data:
        for seed in range(SEEDS):
            level = 3 * float(torch.randn((), generator=generator))
            for arm in ARMS:
                metrics = {}
                for head, l2 in settings(arm):
                    for shots in SHOTS:
                        apart = five if five is not None and shots == 5 else spread
                        value = LEVEL[arm] + level + (gain - 20.0) * (arm == TRAINED) - apart * (head == worst)
                        value += noise * float(torch.randn((), generator=generator))
                        metrics[metric(head, shots, l2)] = value / 100
                records.append(Record(Trial(arm, seed, {"pictures": pictures}), metrics, {}, 1.0))
    return records


def judged(records: list[Record]) -> Verdict:
    return ClassifierHardlyMatters().judge(records)


def status_of(verdict: Verdict, words: str) -> Status | None:
    (check,) = (check for check in verdict.checks if check.primary and words in check.name)
    return check.status


def panels(svg: str) -> int:
    return len(re.findall(r'id="[^"]*axes_\d+"', svg))


class TestRule:
    @pytest.mark.parametrize(
        ("spread", "expected"),
        [(0.0, Status.CONFIRMED), (3.0, Status.CONFIRMED), (9.9, Status.INCONCLUSIVE), (15.0, Status.OPPOSITE)],
    )
    def test_measures_the_spread_by_what_the_embedding_gains(self, spread: float, expected: Status) -> None:
        assert judged(planted(spread)).status is expected

    def test_the_same_spread_matters_where_the_embedding_gains_less(self) -> None:
        assert judged(planted(4.0, gain=20.0)).status is Status.CONFIRMED
        assert judged(planted(4.0, gain=6.0)).status is Status.OPPOSITE

    def test_an_embedding_that_gains_nothing_is_seen(self) -> None:
        verdict = judged(planted(0.0, gain=0.0, noise=0.2))
        assert status_of(verdict, "1-shot: effect of the embedding") is Status.ABSENT
        assert verdict.status is not Status.CONFIRMED

    def test_an_embedding_that_loses_is_the_opposite(self) -> None:
        assert judged(planted(0.0, gain=-10.0)).status is Status.OPPOSITE

    @pytest.mark.parametrize("worst", HEADS)
    def test_no_classifier_is_excused(self, worst: str) -> None:
        assert judged(planted(18.0, worst=worst)).status is Status.OPPOSITE

    def test_five_shots_are_judged_as_one_is(self) -> None:
        verdict = judged(planted(1.0, five=15.0))
        assert status_of(verdict, "1-shot: spread") is Status.CONFIRMED
        assert status_of(verdict, "5-shot: spread") is Status.OPPOSITE
        assert verdict.status is Status.OPPOSITE

    def test_the_report_says_what_the_nearest_neighbour_does_to_it(self) -> None:
        values = {check.name: check.estimate.value for check in judged(planted(5.0, noise=0.0)).checks}
        assert values["spread of classifiers, points, 1-shot"] == pytest.approx(5)
        assert values["the same, without the nearest neighbour, 1-shot"] == pytest.approx(0, abs=1e-9)
        assert values["1-shot: effect of the embedding, points"] == pytest.approx(20)

    def test_names_of_checks_differ_where_a_narrow_table_cuts_them(self) -> None:
        names = [check.name[:45] for check in judged(planted()).checks]
        assert len(set(names)) == len(names)

    def test_judges_glyphs_alone_where_omniglot_is_missing(self) -> None:
        verdict = judged(planted(data=("glyphs",)))
        assert verdict.status is Status.CONFIRMED
        assert not any("omniglot" in check.name for check in verdict.checks)

    def test_a_seed_that_lacks_an_arm_is_left_out_everywhere(self) -> None:
        tables = tables_of(planted()[1:])
        assert {len(table[TRAINED]) for table in tables.values()} == {SEEDS - 1}

    def test_a_diverged_embedding_decides_nothing(self) -> None:
        records = planted()
        place = next(i for i, r in enumerate(records) if r.trial.arm == TRAINED)
        records[place] = Record(records[place].trial, NoMetrics("The loss was nan at step 3"), {}, 1.0)
        assert judged(records).status is Status.INCONCLUSIVE

    def test_the_compared_embeddings_have_seen_the_same_pictures(self) -> None:
        study = ClassifierHardlyMatters()
        assert not audit(study)
        trials = study.trials(study.scales["laptop"])
        given = {arm: {(t.config["steps"], t.config["classes"]) for t in trials if t.arm == arm} for arm in ARMS}
        assert given == {UNTRAINED: {(0, 200)}, FEWER: {(1000, 50)}, TRAINED: {(1000, 200)}}

    def test_power_is_declared_of_the_checks_that_decide_at_the_scale_of_the_pilot(self) -> None:
        study = ClassifierHardlyMatters()
        declared = study.power(study.scales["laptop"])
        assert list(declared) == [check.name for check in judged(planted()).checks if check.primary]
        assert all(0 < chance < 1 for chance in declared.values())
        assert not study.power(study.scales["smoke"])

    def test_figures_have_a_panel_for_each_data_set_and_shots(self) -> None:
        deciding, ladder, normalised = (figure.svg for figure in ClassifierHardlyMatters().figures(planted()))
        assert [panels(each) for each in (deciding, ladder, normalised)] == [2, 4, 4]
        assert ladder != normalised

    def test_figures_of_one_data_set_and_of_an_embedding_that_loses(self) -> None:
        figures = ClassifierHardlyMatters().figures(planted(gain=-30.0, data=("glyphs",)))
        assert [panels(figure.svg) for figure in figures] == [2, 2, 2]


class TestMeasures:
    def test_the_share_is_one_of_means_and_survives_a_seed_without_effect(self) -> None:
        spreads, effects = np.array([2.0, 3.0, 4.0]), np.array([10.0, 0.0, 8.0])
        assert share(spreads, effects).value == pytest.approx(0.5)
        assert np.isnan(share(spreads, -effects).value)
        assert share(spreads[:1], effects[:1]).high == np.inf
        constant = share(np.full(5, 2.0), np.full(5, 8.0))
        assert (constant.low, constant.value, constant.high) == (0.25, 0.25, 0.25)

    def test_c_is_the_best_on_the_episodes_that_it_is_chosen_on(self) -> None:
        generator = torch.Generator().manual_seed(0)
        labels = torch.arange(6).repeat_interleave(12)
        features = torch.randn(6, 8, generator=generator)[labels] + torch.randn(72, 8, generator=generator)
        pictures = ImageSet(torch.zeros(72, 1, 1, 1, dtype=torch.uint8), labels, tuple("abcdef"))
        episodes = episodes_of(pictures, ways=4, shots=5, count=6, seed=0)
        c = chosen_c("logistic", features, episodes, l2=True)
        scores = {each: evaluate_episodes(features, episodes, head="logistic", c=each).mean for each in GRID}
        assert scores[c] == max(scores.values())
        assert len(set(scores.values())) > 1
        assert chosen_c("centroid", features, episodes, l2=True) == 1

    def test_base_classes_are_whole_and_drawn_by_the_seed(self) -> None:
        base = pictures_of("glyphs", 0, 16).base
        some, again, other = (base_classes(base, 10, seed) for seed in (0, 0, 1))
        assert torch.equal(some.labels, again.labels)
        assert not torch.equal(some.labels, other.labels)
        assert some.labels.unique(return_counts=True)[1].tolist() == [12] * 10
        assert len(base_classes(base, 10_000, 0)) == len(base)

    def test_networks_of_the_paper_have_the_papers_widths(self) -> None:
        task = Task("mini_imagenet", 84, 64, "resnet12", 64, 0.1, 1, 64, 0.05, "step")
        network = task.build(3, 0)
        assert sum(p.numel() for p in network.parameters()) == 12_424_320

    @pytest.mark.parametrize("arm", ARMS)
    def test_a_trial_is_a_function_of_the_trial_alone(self, arm: str, tmp_path: Path) -> None:
        study = ClassifierHardlyMatters()
        (trial,) = (t for t in study.trials(study.scales["smoke"]) if t.arm == arm)
        first, second = (study.run(trial, Context(torch.device("cpu"), tmp_path / name)) for name in ("a", "b"))
        assert first.metrics == second.metrics
