"""The laboratory on studies whose truth is known: it confirms what is not there in at most 5 % of 2,000 of them, and
its intervals cover the truth in 95 % ± 1.5."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar

import numpy as np
import pytest
import torch
from scipy import stats

from torchstone.lab import Check, Claim, Estimate, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab import statistics as lab
from torchstone.lab.divergence import judge

STUDIES = 2000
THRESHOLD = 0.1  # the true effect: the hardest case of "no effect of at least the threshold"


def normal(*shape: int) -> np.ndarray:
    return torch.randn(STUDIES, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).numpy()


def correlated(k: int, train: int, test: int) -> np.ndarray:
    """Differences over k random splits as Nadeau and Bengio model them: their correlation is the share of the test."""
    share = test / (test + train)
    return np.sqrt(share) * normal(1) + np.sqrt(1 - share) * normal(k, 1)[..., 0]


def leave_one_out(values: np.ndarray) -> np.ndarray:
    return (values.sum() - values) / (len(values) - 1)


def skewed(n: int) -> np.ndarray:
    """Exponential numbers, moved so that their median is 0."""
    return -np.log(torch.rand(STUDIES, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64).numpy() * 2)


METHODS: dict[str, tuple[np.ndarray, Callable[[np.ndarray], Estimate]]] = {
    "mean, 3 seeds": (normal(3), lab.mean_interval),
    "pairs, 5 seeds": (normal(2, 5), lambda x: lab.paired_difference(x[0], x[1])),
    "Welch, 4 seeds, unequal variances": (normal(2, 4), lambda x: lab.unpaired_difference(x[0], 3 * x[1])),
    "corrected resampled t, 10 splits": (
        correlated(10, train=80, test=20),
        lambda x: lab.resampled_difference(x, np.zeros(10), train=80, test=20),
    ),
    "jackknife of the mean, 5 networks": (normal(5), lambda x: lab.jackknife(x.mean(), leave_one_out(x))),
    "BCa, 10 seeds, the fewest": (normal(10), partial(lab.bootstrap, resamples=999, seed=0)),
    "BCa, 20 seeds": (normal(20), partial(lab.bootstrap, resamples=999, seed=0)),
    "stratified, 4 runs, 3 tasks, the fewest, mean": (
        normal(4, 3),
        partial(lab.stratified_bootstrap, statistic=np.mean, resamples=999, seed=0),
    ),
    "stratified, 5 runs, 5 tasks, IQM": (normal(5, 5), partial(lab.stratified_bootstrap, resamples=999, seed=0)),
    "improvement, 8 runs, 6 tasks": (
        normal(2, 8, 6),
        lambda x: shifted(lab.probability_of_improvement(x[0], x[1]), -0.5),
    ),
}


def shifted(estimate: Estimate, by: float) -> Estimate:
    return Estimate(estimate.value + by, estimate.low + by, estimate.high + by)


@pytest.fixture(scope="module", params=METHODS)
def estimates(request: pytest.FixtureRequest) -> list[Estimate]:
    """What a method says of each study; the truth is 0."""
    samples, method = METHODS[request.param]
    return [method(sample) for sample in samples]


def confirmed(estimates: Sequence[Estimate]) -> float:
    checks = [Check.at_least("x", shifted(each, THRESHOLD), THRESHOLD, zone=0.01) for each in estimates]
    return [Verdict.of(check, sentence="").status for check in checks].count("confirmed") / len(checks)


def test_intervals_cover_the_truth_in_95_percent(estimates: list[Estimate]) -> None:
    covered = sum(each.low <= 0 <= each.high for each in estimates) / STUDIES
    assert abs(covered - 0.95) <= 0.015


def test_no_effect_is_confirmed_in_at_most_5_percent(estimates: list[Estimate]) -> None:
    assert 0 < confirmed(estimates) <= 0.05


def test_the_corrected_interval_is_needed() -> None:
    splits = correlated(10, train=80, test=20)
    plain = [lab.mean_interval(each) for each in splits]
    assert sum(each.low <= 0 <= each.high for each in plain) / STUDIES < 0.8
    assert confirmed(plain) > 0.05


class Nothing(Study):
    """A method that is as good as its baseline, on three benchmarks, one of which is easier for both."""

    claim = Claim("nothing", "Ours beats the baseline.", Paper("Nobody", 2024, "Nothing"))
    scales: ClassVar = {"laptop": 5}

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial(arm, seed) for arm in ("ours", "baseline") for seed in range(scale)]

    def run(self, trial: Trial, context: object) -> Outcome:
        raise AssertionError("its records are made by hand")

    def judge(self, records: Sequence[Record]) -> Verdict:
        return Verdict.of(*self.checks(records), sentence="")

    def checks(self, records: Sequence[Record]) -> list[Check]:
        found = []
        for name in ("easy", "hard"):
            ours, theirs = ([r.metrics[name] for r in records if r.trial.arm == arm] for arm in ("ours", "baseline"))
            found.append(Check.at_least(name, lab.paired_difference(ours, theirs), 0.001, zone=0.0))
        return found


class OneBenchmark(Nothing):
    def checks(self, records: Sequence[Record]) -> list[Check]:
        return super().checks(records)[:1]


def simulated(study: Study) -> Iterator[Sequence[Record]]:
    trials = study.trials(5)
    for numbers in 0.7 + 0.02 * normal(len(trials), 2):
        yield [
            Record(t, dict(zip(("easy", "hard"), n, strict=True)), {}, 1.0)
            for t, n in zip(trials, numbers, strict=True)
        ]


def test_2000_studies_without_an_effect() -> None:
    """The laboratory's own path, from records to verdict; each further primary check makes an accident less likely."""
    one = [judge(OneBenchmark(), records).status for records in simulated(OneBenchmark())]
    both = [judge(Nothing(), records).status for records in simulated(Nothing())]
    assert 0 < one.count("confirmed") / STUDIES <= 0.05
    assert both.count("confirmed") < one.count("confirmed")


def test_a_study_with_a_diverged_trial_is_never_confirmed() -> None:
    for numbers in normal(5)[:200]:
        diverged = np.append(np.abs(numbers) + 1, np.nan)
        assert confirmed([lab.mean_interval(diverged)]) == 0


def variants(study: np.ndarray, level: float) -> list[Check]:
    """One check for each variant, none of which has an effect of the threshold."""
    measured = [shifted(lab.mean_interval(x, level=level), THRESHOLD) for x in study]
    return [Check.at_least(str(i), each, THRESHOLD, zone=0.01) for i, each in enumerate(measured)]


def test_any_of_five_variants_needs_holms_correction() -> None:
    studies = normal(5, 6)
    plain = [[check.status for check in variants(study, 0.95)] for study in studies]
    assert sum("confirmed" in statuses for statuses in plain) / STUDIES > 0.05
    corrected = [Verdict.any_of(partial(variants, study), sentence="") for study in studies]
    assert 0 < sum(verdict.status == "confirmed" for verdict in corrected) / STUDIES <= 0.05


def test_any_of_confirms_the_checks_whose_p_values_holm_adjusts_to_the_level() -> None:
    effects = np.array([0.0, 0.9, 1.2, 1.5, 0.0])[:, None]
    found = set()
    for study in normal(5, 6)[:200] + effects:
        verdict = Verdict.any_of(partial(variants, study), sentence="")
        p_values = stats.ttest_1samp(study, 0.0, axis=1, alternative="greater").pvalue
        confirmed = [check.status == "confirmed" for check in verdict.checks]
        assert confirmed == [p <= 0.025 for p in lab.holm(p_values)]
        found.add(sum(confirmed))
    assert found >= {0, 1, 2, 3}


def test_holms_p_values_reject_any_true_null_in_at_most_5_percent() -> None:
    adjusted = [lab.holm([lab.wilcoxon_test(x, np.zeros(6)) for x in study]) for study in normal(5, 6)]
    assert sum(any(p <= 0.05 for p in study) for study in adjusted) / STUDIES <= 0.05


@pytest.mark.parametrize("n", [6, 15])
def test_tests_reject_a_true_null_as_rarely_as_they_say(n: int) -> None:
    zeros = np.zeros(n)
    signs = [lab.sign_test(x, zeros) <= 0.05 for x in skewed(n)]  # its null is a median of 0, without symmetry
    ranks = [lab.wilcoxon_test(x, zeros) <= 0.05 for x in normal(n)]
    for rejected in (signs, ranks):
        assert stats.binomtest(sum(rejected), STUDIES, 0.05, alternative="greater").pvalue > 0.001
        assert sum(rejected) > 0
