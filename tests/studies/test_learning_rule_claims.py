"""The rules of the claims about learning rules on planted records whose answer is known; their stopwatch and tuner."""

import math
from functools import partial
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.lab import Context, Record, Status, Trial, Verdict
from torchstone.optim import create
from torchstone.studies.optim import adam_diverges, saddle_escape
from torchstone.studies.optim import momentum_beats_conditioning as conditioning
from torchstone.studies.optim.adam_diverges import AdamDiverges
from torchstone.studies.optim.momentum_beats_conditioning import MomentumBeatsConditioning
from torchstone.studies.optim.saddle_escape import SaddleEscape
from torchstone.studies.optim.stopwatch import steps_until, tune

RATES = torch.tensor([0.03, 0.5, 1.9], dtype=torch.float64)
CURVATURES = torch.tensor([1.0, 0.1], dtype=torch.float64)


def start(*numbers: float) -> Tensor:
    return torch.tensor([numbers], dtype=torch.float64)


def near(x: Tensor) -> Tensor:
    return x.norm(dim=-1) <= 0.05


def slope(x: Tensor) -> Tensor:
    return x * CURVATURES


def statuses(verdict: Verdict) -> dict[str, Status | None]:
    return {check.name: check.status for check in verdict.checks if check.primary}


class TestStepsUntil:
    @pytest.mark.parametrize(
        ("rule", "hyper"),
        [
            ("sgd", {}),
            ("momentum", {"momentum": 0.7}),
            ("nesterov", {"momentum": 0.7}),
            ("adam", {"betas": (0.7, 0.9)}),
            ("rmsprop", {"alpha": 0.9}),
            ("adagrad", {}),
        ],
    )
    def test_every_rate_at_once_is_every_rate_alone(self, rule: str, hyper: dict[str, object]) -> None:
        together = steps_until(near, partial(create, rule, lr=1.0, **hyper), slope, start(1, 1), RATES, limit=300)
        for rate, steps in zip(RATES.tolist(), together[0].tolist(), strict=True):
            x = start(1, 1).requires_grad_()
            optimizer = create(rule, [x], lr=rate, **hyper)
            alone = 0
            while not near(x).item() and alone <= 300:
                x.grad = slope(x.detach())
                optimizer.step()
                alone += 1
            assert steps == (alone if alone <= 300 else math.inf)

    def test_gradient_descent_contracts_by_its_closed_form(self) -> None:
        steps = steps_until(near, partial(create, "sgd", lr=1.0), slope, start(0, 1), RATES[1:2], limit=100)
        assert steps.item() == math.ceil(math.log(0.05) / math.log(1 - 0.5 * 0.1))

    def test_who_is_there_takes_no_step_and_who_does_not_arrive_takes_infinitely_many(self) -> None:
        starts = torch.tensor([[0.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
        steps = steps_until(near, partial(create, "sgd", lr=1.0), slope, starts, RATES[:1], limit=3)
        assert steps.squeeze(1).tolist() == [0, math.inf]

    def test_a_rate_that_diverges_never_arrives(self) -> None:
        rates = torch.tensor([3.0], dtype=torch.float64)
        steps = steps_until(near, partial(create, "sgd", lr=1.0), slope, start(1, 1), rates, limit=2000)
        assert steps.item() == math.inf


class TestTune:
    def test_it_finds_what_all_settings_one_by_one_find(self) -> None:
        makers = {str(mu): partial(create, "momentum", lr=1.0, momentum=mu) for mu in (0.2, 0.5, 0.8)}
        starts = torch.cat([start(1, 1), start(-0.3, 1.5)])
        found = tune(near, makers, slope, starts, RATES, limit=300)
        by_hand = {
            (name, rate): steps_until(near, make, slope, starts, RATES[[place]], limit=300).max().item()
            for name, make in makers.items()
            for place, rate in enumerate(RATES.tolist())
        }
        assert found.steps == min(by_hand.values())
        assert by_hand[found.name, found.rate] == found.steps

    def test_where_nothing_arrives_it_says_so(self) -> None:
        found = tune(near, {"only": partial(create, "sgd", lr=1.0)}, slope, start(1, 1), RATES[:1], limit=2)
        assert found == ("only", RATES[0].item(), math.inf)


class TestAdamDiverges:
    @staticmethod
    def record(rule: str, at: float, rate: float, decay: float, at_stochastic: float | None = None) -> Record:
        """Ends at ``at``, with an average regret that reaches ``rate`` as t^-decay; three streams of slopes."""
        t = torch.logspace(2, 6, 41, dtype=torch.float64).round()
        jitter = torch.tensor([0.0, 0.0, -0.001, 0.0, 0.001])
        ends = [at, -1.0] + [at if at_stochastic is None else at_stochastic] * 3
        artifacts = {
            "t": t.long(),
            "x": (torch.tensor(ends) + jitter).double().expand(41, 5),
            "rate": rate * (t / t[-1])[:, None] ** -decay + jitter,
            "expected_rate": torch.full((41, 5), rate, dtype=torch.float64),
        }
        return Record(Trial(rule, 0, {"steps": 1_000_000, "streams": 3}), {}, artifacts, 1.0)

    def planted(self, **changed: Record) -> list[Record]:
        worst = {rule: self.record(rule, 0.99, 0.2, 0.05) for rule in adam_diverges.FORGETFUL}
        best = {rule: self.record(rule, -0.99, 0.07, 0.5) for rule in adam_diverges.LASTING}
        control = {rule: self.record(rule, -0.9, 0.1, 0.5) for rule in adam_diverges.SHOWN}
        return list((worst | best | control | changed).values())

    def test_the_paper_is_confirmed(self) -> None:
        verdict = AdamDiverges().judge(self.planted())
        assert verdict.status is Status.CONFIRMED
        assert len(statuses(verdict)) == 5 * 3 + 3 * 4

    def test_adam_that_converges_is_the_opposite(self) -> None:
        verdict = AdamDiverges().judge(self.planted(adam=self.record("adam", -0.99, 0.07, 0.5)))
        assert verdict.status is Status.OPPOSITE
        assert statuses(verdict)["Adam: point, online"] is Status.OPPOSITE
        assert statuses(verdict)["Adam: average regret, online"] is Status.WEAKER

    def test_a_rule_that_stays_in_the_middle_is_absent(self) -> None:
        verdict = AdamDiverges().judge(self.planted(nadam=self.record("nadam", 0.0, 0.2, 0.05)))
        assert statuses(verdict)["Nadam: point, online"] is Status.ABSENT

    def test_amsgrad_whose_regret_stays_is_not_confirmed(self) -> None:
        verdict = AdamDiverges().judge(self.planted(amsgrad=self.record("amsgrad", -0.99, 0.07, 0.0)))
        assert statuses(verdict)["AMSGrad: decay of regret, online"] is Status.ABSENT
        assert verdict.status is Status.ABSENT

    def test_the_stochastic_problem_counts(self) -> None:
        records = self.planted(adamnc=self.record("adamnc", -0.99, 0.07, 0.5, at_stochastic=0.3))
        assert statuses(AdamDiverges().judge(records))["AdamNC: minus the point, stochastic"] is Status.OPPOSITE

    def test_the_verdict_names_the_ends_that_are_farthest_from_what_was_claimed(self) -> None:
        records = self.planted(nadam=self.record("nadam", 0.4, 0.2, 0.05), adamnc=self.record("adamnc", -0.6, 0.1, 0.5))
        sentence = AdamDiverges().judge(records).sentence
        assert "+0.40 or higher on the online problem and at +0.40 or higher" in sentence
        assert "the others at -0.60 or lower and -0.60 or lower" in sentence

    def test_the_control_decides_nothing(self) -> None:
        verdict = AdamDiverges().judge(self.planted(sgd=self.record("sgd", 1.0, 0.2, 0.0)))
        assert verdict.status is Status.CONFIRMED

    @given(st.floats(0.0, 1.0))
    def test_the_exponent_is_read_back(self, decay: float) -> None:
        estimate = adam_diverges._decay(self.record("adam", 0.0, 0.1, decay))
        assert estimate.value == pytest.approx(decay, abs=0.01)

    def test_a_trial_records_what_the_rule_reads(self, tmp_path: Path) -> None:
        context = Context(torch.device("cpu"), tmp_path)
        outcome = AdamDiverges().run(Trial("sgd", 4, {"steps": 40, "streams": 2}), context)
        again = AdamDiverges().run(Trial("sgd", 4, {"steps": 40, "streams": 2}), context)
        assert outcome.artifacts["x"].shape[1] == 4
        assert outcome.metrics["x, online"] == outcome.artifacts["x"][-1, 0]
        assert torch.equal(outcome.artifacts["rate"], again.artifacts["rate"])


class TestMomentumBeatsConditioning:
    @staticmethod
    def records(powers: dict[str, float]) -> list[Record]:
        """Steps that grow as κ to the power of each rule, with a little noise over sequences."""
        noise = torch.tensor([0.99, 1.0, 1.01, 1.0], dtype=torch.float64)
        arms = [f"{rule}, {mode}" for mode in ("optimal", "tuned") for rule in ("sgd", "momentum", "nesterov")]
        arms += [f"{rule}, coarse" for rule in ("sgd", "momentum", "adam", "rmsprop")]
        return [
            Record(
                Trial(arm, 0, {"kappa": kappa}),
                {"rate": 1.0, "momentum": 0.5},
                {"steps": 7 * kappa ** powers[arm.partition(",")[0]] * noise ** math.log(kappa)},
                1.0,
            )
            for kappa in (1000.0, 30.0, 100.0)
            for arm in arms
        ]

    LAWS = {"sgd": 1.0, "momentum": 0.5, "nesterov": 0.5, "adam": 0.7, "rmsprop": 0.7}  # noqa: RUF012

    def test_the_laws_are_confirmed(self) -> None:
        verdict = MomentumBeatsConditioning().judge(self.records(self.LAWS))
        assert verdict.status is Status.CONFIRMED
        assert len(statuses(verdict)) == 10

    def test_momentum_that_gains_nothing(self) -> None:
        verdict = MomentumBeatsConditioning().judge(self.records(self.LAWS | {"momentum": 1.0}))
        found = statuses(verdict)
        assert found["exponent saved by heavy ball, tuned"] is Status.ABSENT
        assert found["exponent, heavy ball, tuned"] is Status.OPPOSITE
        assert verdict.status is Status.OPPOSITE

    def test_momentum_that_gains_less_is_weaker(self) -> None:
        verdict = MomentumBeatsConditioning().judge(self.records(self.LAWS | {"nesterov": 0.75}))
        assert statuses(verdict)["exponent saved by Nesterov, optimal"] is Status.WEAKER

    def test_adaptive_rules_decide_nothing(self) -> None:
        verdict = MomentumBeatsConditioning().judge(self.records(self.LAWS | {"adam": 2.0}))
        assert verdict.status is Status.CONFIRMED

    def test_rows_and_verdict_name_rules_as_a_reader_knows_them(self) -> None:
        verdict = MomentumBeatsConditioning().judge(self.records(self.LAWS))
        rows = [check.name for check in verdict.checks if check.name.startswith("steps at κ = 1,000")]
        assert "steps at κ = 1,000, gradient descent, optimal, to a millionth (step size 1, momentum 0.5)" in rows
        assert "steps at κ = 1,000, RMSProp, tuned, to one hundredth (step size 1, momentum 0.5)" in rows
        assert len(rows) == 10
        assert "κ^1.00 (gradient descent), κ^0.50 (heavy ball), κ^0.50 (Nesterov)" in verdict.sentence

    def test_adam_comes_as_near_as_a_millionth_and_rmsprop_does_not(self) -> None:
        """As the claim says, which counts both to one hundredth only."""
        arrived = {}
        for rule in ("adam", "rmsprop"):
            trial = Trial(rule, 1, {"copies": 4, "d": 6, "kappa": 30.0})
            curvature, starts = conditioning.quadratics(trial, part=0)
            goal, rates = (lambda x: x.norm(dim=-1) <= conditioning.FINE), torch.tensor([0.01, 0.1, 0.2]).double()
            maker = conditioning._maker(rule, 0.9)
            steps = steps_until(goal, maker, partial(torch.matmul, other=curvature), starts, rates, limit=1500)
            arrived[rule] = bool(steps.isfinite().all(0).any())
        assert arrived == {"adam": True, "rmsprop": False}

    def test_quadratics_have_the_condition_number(self) -> None:
        trial = Trial("any", 3, {"copies": 5, "d": 6, "kappa": 200.0})
        curvature, starts = conditioning.quadratics(trial, part=0)
        spectrum = torch.linalg.eigvalsh(curvature)
        torch.testing.assert_close(spectrum[:, [0, -1]], torch.tensor([[1 / 200, 1.0]]).double().expand(5, 2))
        torch.testing.assert_close(starts.norm(dim=1), torch.ones(5).double())
        assert not torch.equal(curvature, conditioning.quadratics(trial, part=1)[0])

    @pytest.mark.parametrize("kappa", [10.0, 1000.0])
    def test_optimal_settings_contract_at_the_rates_of_theory(self, kappa: float) -> None:
        """The spectral radius of the companion matrix, over all curvatures, is the best that theory promises."""
        root, wide = math.sqrt(kappa), math.sqrt(3 * kappa + 1)
        promised = {
            "sgd": (kappa - 1) / (kappa + 1),
            "momentum": (root - 1) / (root + 1),
            "nesterov": 1 - 2 / wide,
        }
        for rule, rate in promised.items():
            momentum, step = conditioning.optimal(rule, kappa)
            radii = []
            for curvature in torch.logspace(-math.log10(kappa), 0, 200, dtype=torch.float64).tolist():
                shrink = 1 - step * curvature
                top = (1 + momentum) * shrink if rule == "nesterov" else shrink + momentum
                low = momentum * shrink if rule == "nesterov" else momentum
                companion = torch.tensor([[top, -low], [1.0, 0.0]], dtype=torch.float64)
                radii.append(torch.linalg.eigvals(companion).abs().max().item())
            assert max(radii) == pytest.approx(rate, abs=1e-6)


class TestSaddleEscape:
    @staticmethod
    def records(growth: dict[str, float]) -> list[Record]:
        """Steps that grow by the rule's ratio from 1e-3 to 1e-9; 3 and 1 for those that are not named."""
        plain = ("sgd", "momentum", "nesterov")
        jitter = torch.tensor([1.0, 1.001, 0.999], dtype=torch.float64)
        records = []
        for turned, saddle in ((False, "along the axes"), (True, "turned")):
            for rule in saddle_escape.TITLES:
                ratio = growth.get(rule, 3.0 if rule in plain else 1.0)
                steps = torch.stack([torch.full((3,), 100.0).double(), 100 * ratio * jitter])
                config = {"rule": rule, "turned": turned, "powers": [-3, -9]}
                metrics = {"rate": 0.1} | ({} if turned else {"left the top line": 0.0})
                artifacts = {"steps": steps, "distance": torch.tensor([3.0, 9.0])}
                records.append(Record(Trial(f"{rule}, {saddle}", 0, config), metrics, artifacts, 1.0))
        return records

    def test_rules_that_do_not_care_are_confirmed(self) -> None:
        verdict = SaddleEscape().judge(self.records({}))
        assert verdict.status is Status.CONFIRMED
        assert len(statuses(verdict)) == 12

    def test_a_rule_as_slow_as_gradient_descent_is_absent(self) -> None:
        verdict = SaddleEscape().judge(self.records({"adam": 3.0}))
        assert statuses(verdict)["growth saved, Adam, turned"] is Status.ABSENT
        assert verdict.status is Status.ABSENT

    def test_a_rule_that_cares_a_little_is_weaker(self) -> None:
        assert SaddleEscape().judge(self.records({"rmsprop": 2.0})).status is Status.WEAKER

    def test_a_rule_slower_than_gradient_descent_is_the_opposite(self) -> None:
        assert SaddleEscape().judge(self.records({"adagrad": 5.0})).status is Status.OPPOSITE

    def test_gradient_descent_off_its_closed_form_is_noticed(self) -> None:
        verdict = SaddleEscape().judge(self.records({"sgd": 4.0}))
        assert statuses(verdict)["growth, gradient descent, turned"] is Status.OPPOSITE

    def test_a_rule_that_never_gets_away_is_not_confirmed(self) -> None:
        records = self.records({})
        stuck = [r for r in records if r.trial.config["rule"] == "adagrad"]
        for record in stuck:
            record.artifacts["steps"].fill_(saddle_escape.LIMIT)
        verdict = SaddleEscape().judge(records)
        assert statuses(verdict)["growth saved, Adagrad, turned"] is Status.INCONCLUSIVE
        assert verdict.status is Status.INCONCLUSIVE

    @pytest.mark.parametrize("turned", [False, True])
    @pytest.mark.parametrize("distance", [1e-1, 1e-5])
    def test_gradient_descent_takes_the_steps_of_the_closed_form(self, turned: bool, distance: float) -> None:
        trial = Trial("sgd", 0, {"rule": "sgd", "turned": turned, "copies": 4, "powers": [-1]})
        steps = saddle_escape._steps(trial, "sgd", distance, 0.5)
        assert steps.tolist() == [math.ceil(math.log(1 / distance) / math.log(1 + 0.5 * saddle_escape.DOWN))] * 4

    @pytest.mark.parametrize("rule", list(saddle_escape.TITLES))
    def test_no_rule_leaves_the_top_line_itself(self, rule: str) -> None:
        trial = Trial(rule, 0, {"rule": rule, "turned": False, "copies": 2, "powers": [-1]})
        assert saddle_escape._steps(trial, rule, 0.0, 0.1, limit=50).tolist() == [50, 50]
