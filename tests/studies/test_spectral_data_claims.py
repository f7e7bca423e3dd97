"""The rules of the claims about data, on planted records whose answer is known, and what their trials are made of."""

import math
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from PIL import Image

from torchstone.lab import Record, Status, Trial, Unavailable, Verdict, audit
from torchstone.lab.divergence import judge
from torchstone.spectral import coefficients
from torchstone.studies.spectral import label_noise_is_filtered as noisy
from torchstone.studies.spectral import manifolds_make_high_frequencies_easy as curves
from torchstone.studies.spectral.label_noise_is_filtered import LabelNoiseIsFiltered
from torchstone.studies.spectral.manifolds_make_high_frequencies_easy import ManifoldsMakeHighFrequenciesEasy

SEEDS = range(8)
LEVEL = torch.randn(len(SEEDS), generator=torch.Generator().manual_seed(0)).exp().tolist()  # of a seed, in all arms
JITTER = (1 + 0.05 * torch.randn(len(SEEDS), 20, generator=torch.Generator().manual_seed(1))).tolist()


def primary(verdict: Verdict) -> list[Status | None]:
    return [check.status for check in verdict.checks if check.primary]


def estimate(verdict: Verdict, words: str) -> float:
    (value,) = (check.estimate.value for check in verdict.checks if words in check.name)
    return value


class TestManifoldsMakeHighFrequenciesEasy:
    @staticmethod
    def records(**errors: float) -> list[Record]:
        return [
            Record(Trial(arm, seed), {"mse": LEVEL[seed] * JITTER[seed][i] * errors.get(_word(arm), 1.0)}, {}, 1.0)
            for i, arm in enumerate(curves.ARMS)
            for seed in SEEDS
        ]

    def verdict(self, **errors: float) -> Verdict:
        return ManifoldsMakeHighFrequenciesEasy().judge(self.records(**errors))

    def test_errors_that_petals_lower_by_five_confirm(self) -> None:
        verdict = self.verdict(petals=0.2, long_circle=0.5)
        assert primary(verdict) == [Status.CONFIRMED, Status.CONFIRMED]
        assert estimate(verdict, "petals lower") == pytest.approx(math.log10(5), abs=0.05)
        factor = 10 ** estimate(verdict, "petals lower")
        assert f"The error on the circle is {factor:.1f} times that on the petals" in verdict.sentence
        assert estimate(verdict, "as long as") == pytest.approx(math.log10(2), abs=0.05)
        assert estimate(verdict, "against that long circle") == pytest.approx(math.log10(2.5), abs=0.05)

    def test_a_factor_of_two_is_weaker(self) -> None:
        assert self.verdict(petals=0.5).status is Status.WEAKER

    def test_what_shuffled_places_gain_as_well_is_not_the_frequency(self) -> None:
        verdict = self.verdict(petals=0.2, petals_shuffled=0.2)
        assert primary(verdict) == [Status.CONFIRMED, Status.ABSENT]
        assert verdict.status is Status.ABSENT

    def test_no_difference_is_absent(self) -> None:
        assert self.verdict().status is Status.ABSENT

    def test_petals_that_make_it_harder_are_the_opposite(self) -> None:
        assert self.verdict(petals=3.0).status is Status.OPPOSITE

    def test_the_other_curves_and_the_slow_signal_decide_nothing(self) -> None:
        others = {"few_petals": 9.0, "many_petals": 0.01, "long_circle": 0.01, "petals_slow_signal": 50.0}
        assert self.verdict(petals=0.2, **others).status is Status.CONFIRMED

    def test_a_network_that_diverged_leaves_it_open(self) -> None:
        records = self.records(petals=0.2)
        records[0] = Record(records[0].trial, {"mse": math.nan}, {}, 1.0)
        assert judge(ManifoldsMakeHighFrequenciesEasy(), records).status is Status.INCONCLUSIVE

    def test_arms_are_compared_fairly(self) -> None:
        assert audit(ManifoldsMakeHighFrequenciesEasy()) == []


class TestSamples:
    CONFIG: ClassVar = {"petals": 8, "n": 60, "frequencies": [3, 7], "stretched": False, "shuffled": False}

    def test_the_signal_is_the_same_on_every_curve(self) -> None:
        on_petals, y = curves.samples(self.CONFIG, 0)
        on_circle, same = curves.samples(self.CONFIG | {"petals": 0}, 0)
        assert torch.equal(y, same)
        assert not torch.equal(on_petals, on_circle)
        magnitudes = coefficients(y, list(range(1, 30))).abs()
        assert magnitudes.round(decimals=5).nonzero().flatten().tolist() == [2, 6]  # frequencies 3 and 7

    def test_the_long_circle_is_a_circle_as_long_as_the_flower(self) -> None:
        x, _ = curves.samples(self.CONFIG | {"stretched": True}, 0)
        radius = torch.linalg.vector_norm(x, dim=1)
        torch.testing.assert_close(radius, radius.mean().expand(60))
        assert 2 * math.pi * float(radius.mean()) == pytest.approx(curves.length(8), rel=1e-5)
        assert curves.length(0) == pytest.approx(2 * math.pi, rel=1e-6)

    def test_shuffling_moves_places_and_keeps_them(self) -> None:
        x, y = curves.samples(self.CONFIG, 0)
        shuffled, same = curves.samples(self.CONFIG | {"shuffled": True}, 0)
        assert torch.equal(y, same)
        assert not torch.equal(x, shuffled)
        assert sorted(map(tuple, x.tolist())) == sorted(map(tuple, shuffled.tolist()))


class TestLabelNoiseIsFiltered:
    @staticmethod
    def records(**errors: float) -> list[Record]:
        return [
            Record(
                Trial(arm, seed),
                {"best": 0.01 * LEVEL[seed] * JITTER[seed][i] * errors.get(_word(arm), 1.0), "smooth": 0.1},
                {},
                1.0,
            )
            for i, arm in enumerate(noisy.ARMS)
            for seed in SEEDS
        ]

    def verdict(self, **errors: float) -> Verdict:
        return LabelNoiseIsFiltered().judge(self.records(no_noise=0.2, **errors))

    def test_slow_noise_that_doubles_the_error_confirms(self) -> None:
        verdict = self.verdict(low_frequency=2.0)
        assert primary(verdict) == [Status.CONFIRMED] * 3
        assert estimate(verdict, "low to high") == pytest.approx(math.log10(2), abs=0.03)
        assert estimate(verdict, "harm of high") == pytest.approx(0.8 / 1.8, abs=0.05)

    def test_a_little_more_is_weaker(self) -> None:
        assert self.verdict(low_frequency=1.3).status is Status.WEAKER

    def test_noise_that_hurts_at_any_frequency_is_absent(self) -> None:
        assert self.verdict().status is Status.ABSENT

    def test_fast_noise_that_hurts_most_is_the_opposite(self) -> None:
        assert self.verdict(high_frequency=2.0, high_frequency_shuffled=2.0).status is Status.OPPOSITE

    def test_slow_noise_that_hurts_as_much_when_dealt_at_random_is_only_its_size(self) -> None:
        verdict = self.verdict(low_frequency=2.0, low_frequency_shuffled=2.0)
        assert primary(verdict) == [Status.CONFIRMED, Status.ABSENT, Status.CONFIRMED]

    def test_fast_noise_worse_than_noise_at_random_is_not_filtered(self) -> None:
        verdict = self.verdict(low_frequency=4.0, high_frequency=2.0)
        assert primary(verdict) == [Status.CONFIRMED, Status.CONFIRMED, Status.OPPOSITE]

    def test_a_network_that_diverged_leaves_it_open(self) -> None:
        records = self.records(low_frequency=2.0)
        records[9] = Record(records[9].trial, {"best": math.nan, "smooth": 0.1}, {}, 1.0)
        assert judge(LabelNoiseIsFiltered(), records).status is Status.INCONCLUSIVE

    def test_arms_are_compared_fairly(self) -> None:
        assert audit(LabelNoiseIsFiltered()) == []


class TestLabelNoise:
    X = torch.rand(500, 16, generator=torch.Generator().manual_seed(0))

    @pytest.mark.parametrize(("waves", "shuffled"), [each for each in noisy.ARMS.values() if each[0]])
    def test_all_noises_are_of_one_size(self, waves: float, shuffled: bool) -> None:
        noise = noisy.label_noise(self.X, {"waves": waves, "shuffled": shuffled}, 0)
        assert float(noise.mean()) == pytest.approx(0, abs=1e-6)
        assert float(noise.square().mean().sqrt()) == pytest.approx(noisy.RMS, rel=1e-5)

    def test_shuffling_deals_out_the_same_values(self) -> None:
        plain, dealt = (noisy.label_noise(self.X, {"waves": 0.1, "shuffled": each}, 3) for each in (False, True))
        assert not torch.equal(plain, dealt)
        assert torch.equal(plain.sort().values, dealt.sort().values)

    def test_none_is_none(self) -> None:
        assert not noisy.label_noise(self.X, {"waves": 0.0, "shuffled": False}, 0).any()

    def test_does_not_depend_on_the_scale_of_the_inputs(self) -> None:
        config = {"waves": 0.5, "shuffled": False}
        plain, scaled = noisy.label_noise(self.X, config, 0), noisy.label_noise(7 * self.X, config, 0)
        torch.testing.assert_close(plain, scaled, atol=1e-3, rtol=0)

    def test_slow_noise_is_smooth_on_the_digits_and_fast_noise_is_not(self) -> None:
        x = noisy.even_or_odd().x
        slow, fast, dealt = (
            float(noisy.smoothness(x, noisy.label_noise(x, {"waves": waves, "shuffled": shuffled}, 0))[noisy.SMOOTH])
            for waves, shuffled in ((0.1, False), (2.0, False), (0.1, True))
        )
        assert slow > 0.4
        assert fast < 0.15
        assert dealt < 0.15

    def test_smoothness_of_no_noise_is_zero(self) -> None:
        assert not noisy.smoothness(self.X, torch.zeros(500)).any()


class TestData:
    def test_a_fifth_is_held_out_and_nothing_is_in_both(self) -> None:
        numbered = noisy.Examples(torch.arange(10.0)[:, None], torch.arange(10.0))
        seen, held_out = noisy.split(numbered, 0)
        assert len(held_out.x) == 2
        assert sorted(torch.cat([seen.y, held_out.y]).tolist()) == list(range(10))
        assert torch.equal(seen.x[:, 0], seen.y)

    def test_the_paper_asks_for_pictures_that_are_not_here(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        with pytest.raises(Unavailable, match="MNIST"):
            noisy.three_or_eight()

    def test_pictures_of_three_and_eight_are_read_in_order(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for digit, grey in (("3", 0), ("8", 255)):
            folder = tmp_path / "mnist" / "train" / digit
            folder.mkdir(parents=True)
            Image.new("L", (2, 2), grey).save(folder / "a.png")
        monkeypatch.setenv("TORCHSTONE_DATA", str(tmp_path))
        x, y = noisy.three_or_eight()
        assert x.tolist() == [[0.0] * 4, [1.0] * 4]
        assert y.tolist() == [0, 1]


def _word(arm: str) -> str:
    return arm.replace(", ", "_").replace(" ", "_")
