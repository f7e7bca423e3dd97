"""The claims about estimators: their rules on planted records, and the closed forms that they rest on."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from torchstone.data import Batches
from torchstone.lab import Record, Status, Trial
from torchstone.nets import seeded
from torchstone.programs.expectation import Expectation, Pathwise, iwae
from torchstone.studies.programs.jumps import JUMPS, PROBLEMS, SMOOTH, derivative, excess
from torchstone.studies.programs.pathwise_beats_score_when_smooth import PathwiseBeatsScoreWhenSmooth, log_speed_up
from torchstone.studies.programs.pathwise_is_wrong_when_not import PathwiseIsWrongWhenNot
from torchstone.studies.programs.vae import VAE, binary_digits
from torchstone.training import Player, fit

SEEDS = 6


def jitter(seed: int) -> float:
    return float(torch.randn((), generator=torch.Generator().manual_seed(seed)))


class TestClosedForms:
    @pytest.mark.parametrize("name", PROBLEMS)
    @pytest.mark.parametrize("mean", [-1.0, 0.3, 2.0])
    def test_agree_with_quadrature(self, name: str, mean: float) -> None:
        theta = torch.tensor(mean, dtype=torch.float64)
        xi = torch.linspace(mean - 9, mean + 9, 900_001, dtype=torch.float64)
        weights = torch.exp(-((xi - theta) ** 2) / 2) / math.sqrt(2 * math.pi)
        numeric = torch.trapezoid(PROBLEMS[name].f(xi) * weights, xi)
        torch.testing.assert_close(PROBLEMS[name].expectation(theta), numeric, rtol=1e-4, atol=1e-4)

    def test_derivative_and_excess(self) -> None:
        means = torch.tensor([-1.0, 2.0], dtype=torch.float64)
        torch.testing.assert_close(derivative(SMOOTH["square"], means), 2 * means)
        assert excess(SMOOTH["square"], means[1]) == pytest.approx(4)


class TestPathwiseIsWrongWhenNot:
    STUDY = PathwiseIsWrongWhenNot()

    def planted(self, wrong: float = 0.6, noise: float = 0.01, lost: float = 0.5, alarm: float = 0.0) -> list[Record]:
        records = []
        for place, problem in enumerate(PROBLEMS):
            jumps = problem in JUMPS
            for seed in range(SEEDS):
                off = noise * abs(jitter(SEEDS * place + seed))
                metrics = {
                    "refused": 1.0 if jumps else alarm,
                    "error of pathwise": wrong + off if jumps else off,
                    "error of score": off,
                    "excess of pathwise": lost + off if jumps else off,
                    "excess of score": noise * abs(jitter(1000 + SEEDS * place + seed)),
                }
                records.append(Record(Trial(problem, seed), metrics, {}, 1.0))
        return records

    def test_is_confirmed(self) -> None:
        verdict = self.STUDY.judge(self.planted())
        assert verdict.status is Status.CONFIRMED
        assert sum(check.primary for check in verdict.checks) == 3 * len(JUMPS) + len(SMOOTH) + 2

    @pytest.mark.parametrize(
        ("planted", "status"),
        [
            ({"wrong": 0.15}, Status.WEAKER),
            ({"wrong": 0.0}, Status.ABSENT),
            ({"lost": 0.0, "noise": 0.001}, Status.ABSENT),
            ({"lost": -0.5}, Status.OPPOSITE),
            ({"alarm": 1.0}, Status.OPPOSITE),
            ({"noise": 2.0}, Status.OPPOSITE),
            ({"wrong": math.nan}, Status.INCONCLUSIVE),
        ],
    )
    def test_is_not_of_anything_else(self, planted: dict[str, float], status: Status) -> None:
        assert self.STUDY.judge(self.planted(**planted)).status is status


class TestPathwiseBeatsScoreWhenSmooth:
    STUDY = PathwiseBeatsScoreWhenSmooth()

    def planted(self, ratio: float = 2.0, reaches_at: int = 2) -> list[Record]:
        """The score climbs evenly from 0 to 40; the path is as high at the look ``reaches_at``."""
        looks = torch.arange(41.0)
        curves = {"score": looks, "leave-one-out": looks, "pathwise": looks * 40 / reaches_at}
        return [
            Record(
                Trial(arm, seed, {"steps": 400}),
                {
                    "bound": float(curve[-1]),
                    "log variance ratio of score": ratio + 0.02 * jitter(seed),
                    "log variance ratio of leave-one-out": 0.5,
                    "rate": 0.01,
                },
                {"curve": curve},
                1.0,
            )
            for arm, curve in curves.items()
            for seed in range(SEEDS)
        ]

    def test_is_confirmed(self) -> None:
        assert self.STUDY.judge(self.planted()).status is Status.CONFIRMED

    @pytest.mark.parametrize(
        ("planted", "status"),
        [
            ({"ratio": 0.7}, Status.WEAKER),
            ({"ratio": 0.0}, Status.ABSENT),
            ({"ratio": -1.0}, Status.OPPOSITE),
            ({"reaches_at": 10}, Status.WEAKER),
            ({"reaches_at": 40}, Status.ABSENT),
            ({"reaches_at": 80}, Status.ABSENT),  # never within the steps: no fewer
            ({"ratio": math.nan}, Status.INCONCLUSIVE),
        ],
    )
    def test_is_not_of_anything_else(self, planted: dict[str, float], status: Status) -> None:
        assert self.STUDY.judge(self.planted(**planted)).status is status

    def test_the_speed_up_counts_looks(self) -> None:
        path, score = (next(r for r in self.planted() if r.trial.arm == arm) for arm in ("pathwise", "score"))
        assert log_speed_up(path, score) == pytest.approx(math.log10(20))


@pytest.mark.parametrize("test", [TestPathwiseIsWrongWhenNot(), TestPathwiseBeatsScoreWhenSmooth()])
def test_power_is_declared_of_primary_checks_and_of_the_laptop_scale_alone(
    test: TestPathwiseIsWrongWhenNot | TestPathwiseBeatsScoreWhenSmooth,
) -> None:
    study = test.STUDY
    primary = {check.name for check in study.judge(test.planted()).checks if check.primary}
    declared = study.power(study.scales["laptop"])
    assert declared
    assert set(declared) <= primary
    assert all(0.8 < chance <= 1 for chance in declared.values())
    assert study.power(study.scales["smoke"]) == study.power(study.scales["paper"]) == {}


def test_bounds_of_a_trained_autoencoder_come_in_the_order_of_the_theorem() -> None:
    """ELBO < IWAE with 5 codes < IWAE with 50, each from codes of its own, picture by picture on average."""
    train, _, test = binary_digits()
    vae = VAE(seed=0)
    loss = Expectation(lambda z, batch: vae.loss(z, batch[0]), lambda batch: vae.posterior(batch[0]), samples=1)
    player = Player(vae, loss, torch.optim.Adam(vae.parameters(), 1e-2))
    fit(player, Batches(train, torch.zeros(len(train)), size=64, seed=0), steps=100)
    assert loss.estimator == Pathwise()
    with torch.no_grad(), seeded(0):
        drawn = [vae.log_weights(vae.posterior(test).sample(torch.Size((50,))), test) for _ in range(3)]
    bounds = [iwae(weights, samples=m) for weights, m in zip(drawn, (1, 5, 50), strict=True)]
    assert bounds[0].mean() > -24  # -45 before training
    for lower, higher in itertools.pairwise(bounds):
        gain = higher - lower
        assert gain.mean() > 4 * gain.std() / len(gain) ** 0.5


def test_the_weights_of_the_autoencoder_are_those_of_its_densities() -> None:
    vae, generator = VAE(latent=2, hidden=4, seed=0), torch.Generator().manual_seed(0)
    x = torch.bernoulli(torch.full((3, 64), 0.4), generator=generator)
    z = torch.randn(5, 3, 2, generator=generator)
    pixels: Tensor = torch.distributions.Bernoulli(logits=vae.decoder(z)).log_prob(x).sum(-1)
    prior: Tensor = torch.distributions.Normal(0, 1).log_prob(z).sum(-1)
    torch.testing.assert_close(vae.log_weights(z, x), pixels + prior - vae.posterior(x).log_prob(z))
