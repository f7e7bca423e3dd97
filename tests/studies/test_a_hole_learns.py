"""The claim about holes: its programs against plain arithmetic, its rule on planted records, its power."""

import math
from pathlib import Path

import pytest
import torch
from scipy import stats
from torch import Tensor

from torchstone.lab import Context, Record, Status, Trial
from torchstone.studies.programs.a_hole_learns_from_whole_program_examples import (
    HOPED,
    LESS,
    PILOT_SD,
    AHoleLearns,
    Size,
)
from torchstone.studies.programs.hole_tables import advantage, chosen, formula
from torchstone.studies.programs.hole_trials import (
    ERROR,
    OF_HOLE,
    OFF,
    OUTSIDE,
    WARNED,
    at,
    decayed,
    decays_of,
    in_hole,
)
from torchstone.studies.programs.known_programs import (
    BLACK,
    FORMULA,
    HOLE,
    LARGE,
    PROBLEMS,
    WRONG,
    Problem,
    SumOverParts,
)

STUDY = AHoleLearns()
SMALL = Size(problems=("bill", "spring"), examples=(8, 32), seeds=6, steps=100)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(), dtype=torch.float64)


def total(diagonals: list[float], price: float) -> float:
    """A bill, worked out by hand."""
    full = price * sum(d * d / 2 for d in diagonals)
    return full if full <= 2 else 2 + 0.8 * (full - 2)


def position(x: float, v: float) -> float:
    """A mass on a spring, worked out by hand."""
    for _ in range(10):
        v += 0.3 * (-x - x**3 - 0.1 * v)
        x += 0.3 * v
    return x


class TestPrograms:
    def test_a_bill_is_what_arithmetic_says(self) -> None:
        diagonals, price = PROBLEMS["bill"].draw(50, generator(), False)
        expected = [total(d, p) for d, p in zip(diagonals.tolist(), price.tolist(), strict=True)]
        assert PROBLEMS["bill"].truth((diagonals, price)).tolist() == pytest.approx(expected, rel=1e-5)
        assert max(expected) > 2 > min(expected)  # both sides of the discount are seen

    def test_a_spring_swings_as_arithmetic_says(self) -> None:
        x, v = PROBLEMS["spring"].draw(50, generator(), False)
        expected = [position(*start) for start in zip(x.tolist(), v.tolist(), strict=True)]
        assert PROBLEMS["spring"].truth((x, v)).tolist() == pytest.approx(expected, abs=1e-4)

    @pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
    def test_the_law_is_its_coefficients_and_can_be_chosen(self, problem: Problem) -> None:
        x = noise(20)
        law = problem.law(x)
        torch.testing.assert_close(law, sum(c * x**k for k, c in enumerate(problem.coefficients)))
        assert sum(bool(torch.allclose(f(x), law)) for f in problem.candidates.values()) == 1

    @pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
    def test_networks_have_one_size_but_the_large_one(self, problem: Problem) -> None:
        sizes = {
            arm: sum(p.numel() for p in problem.filled(arm, 0).parameters()) for arm in (HOLE, BLACK, WRONG, LARGE)
        }
        assert sizes == {HOLE: 49, BLACK: 49, WRONG: 49, LARGE: 193}

    @pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
    def test_the_wrong_program_forgets_its_last_input(self, problem: Problem) -> None:
        inputs = problem.draw(20, generator(), False)
        others = (*inputs[:-1], inputs[-1] + 1)
        with torch.no_grad():
            for arm, forgets in ((WRONG, True), (HOLE, False), (BLACK, False)):
                filled = problem.filled(arm, 0)
                assert torch.equal(filled(*inputs), filled(*others)) is forgets

    def test_a_sum_over_parts_does_not_mind_their_order(self) -> None:
        body = SumOverParts(4, 6, seed=0)
        assert sum(p.numel() for p in body.parameters()) == 49
        a, b, c, price = noise(4, 20).float().unbind()
        torch.testing.assert_close(body(a, b, c, price), body(c, a, b, price))
        assert not torch.allclose(body(a, b, c, price), body(a, b, price, c))

    @pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)
    def test_outside_is_outside(self, problem: Problem) -> None:
        inside, outside = (problem.draw(200, generator(), which)[0] for which in (False, True))
        low, high = problem.inside
        assert low - 0.05 <= inside.min()
        assert inside.max() <= high <= outside.min()

    def test_outside_of_its_program_a_hole_says_the_same(self) -> None:
        problem, x = PROBLEMS["bill"], torch.linspace(0, 2, 9)
        filled = problem.filled(HOLE, 3)
        torch.testing.assert_close(in_hole(problem, filled, x), filled.holes["area"](x).detach())

    def test_weight_decay_adds_squares(self) -> None:
        bodies = torch.nn.ModuleDict({"a": PROBLEMS["bill"].body(FORMULA, 0)})
        with torch.no_grad():
            bodies["a"].coefficients.copy_(torch.tensor([1.0, 2.0, 0.0, 0.0]))
        assert decayed(bodies, 0.1)(torch.tensor(3.0), torch.tensor(1.0)).item() == pytest.approx(4.5)


def test_a_seed_has_no_say_in_its_own_weight_decay() -> None:
    errors = torch.tensor([[1e-9, 1.0], [2.0, 1.0], [2.0, 1.0], [2.0, 1.0]])
    assert chosen(errors)[0] == 1


def test_what_diverged_is_not_chosen() -> None:
    assert chosen(torch.tensor([[math.nan, 1.0], [0.5, 1.0], [0.5, 1.0]])).tolist() == [0, 1, 1]


def test_a_formula_comes_out_of_eight_bills(tmp_path: Path) -> None:
    trial = Trial(
        FORMULA, 7, {"problem": "bill", "examples": 8, "steps": 20, "restarts": 2, "decays": [0.0], "batch": None}
    )
    outcome = STUDY.run(trial, Context(torch.device("cpu"), tmp_path))
    assert outcome.metrics[at(0, OFF)] < 1e-3
    assert outcome.metrics[at(0, WARNED)] == 1
    record = Record(trial, outcome.metrics, outcome.artifacts, 1.0)
    assert formula(record) == "area(d) = 0.5*d**2"
    again = STUDY.run(trial, Context(torch.device("cpu"), tmp_path))
    assert again.metrics == outcome.metrics


class TestRule:
    def planted(self, lead: float = 1.0, spread: float = 0.01, off: float = 1e-4, warned: float = 1.0) -> list[Record]:
        """Errors of the hole that lie ``lead`` below those of all others, the more so the fewer the decay is."""
        trials = STUDY.trials(SMALL)
        return [self.record(*each, lead, off, warned) for each in zip(trials, spread * noise(len(trials)), strict=True)]

    def record(self, trial: Trial, shift: Tensor, lead: float, off: float, warned: float) -> Record:
        log_error = -1 - (lead if trial.arm == HOLE else 0) + float(shift)
        metrics: dict[str, float] = {}
        for place, decay in enumerate(decays_of(trial)):
            error = 10 ** (log_error + 0.3 * place)
            found = {ERROR: error, OUTSIDE: 10 * error, OF_HOLE: error, OFF: off * (1 + abs(float(shift)))}
            metrics |= {at(decay, what): number for what, number in (found | {WARNED: warned}).items()}
        return Record(trial, metrics, {}, 1.0)

    def test_confirms(self) -> None:
        verdict = STUDY.judge(self.planted())
        assert verdict.status is Status.CONFIRMED
        assert sum(check.primary for check in verdict.checks) == 6
        assert verdict.sentence == "Where it counts, the hole has 10% of the black box's error, or less."

    @pytest.mark.parametrize(
        ("planted", "status"),
        [
            ({"lead": 0.4}, Status.WEAKER),
            ({"lead": 0.0, "spread": 0.01}, Status.ABSENT),
            ({"lead": -0.5}, Status.OPPOSITE),
            ({"lead": 0.3, "spread": 2.0}, Status.INCONCLUSIVE),
            ({"off": 0.01}, Status.OPPOSITE),
            ({"warned": 0.0}, Status.OPPOSITE),
            ({"lead": math.nan}, Status.INCONCLUSIVE),
        ],
    )
    def test_says_what_was_planted(self, planted: dict[str, float], status: Status) -> None:
        assert STUDY.judge(self.planted(**planted)).status is status

    def test_one_program_is_not_enough(self) -> None:
        bills, springs = (
            [record for record in self.planted(lead) if record.trial.config["problem"] == problem]
            for problem, lead in (("bill", 2.0), ("spring", 0.3))
        )
        assert STUDY.judge(bills + springs).status is Status.WEAKER

    def test_its_power_is_as_declared(self) -> None:
        """The leads vary with the seed as in the pilot."""
        scale = STUDY.scales["laptop"]
        trials = [t for t in STUDY.trials(scale) if t.config["problem"] == "bill" and t.config["examples"] == 8]
        holes, rivals = ([trial for trial in trials if trial.arm == arm] for arm in (HOLE, BLACK))
        zero, confirmed = torch.zeros(()), 0
        for leads in (HOPED + PILOT_SD * noise(300, len(holes))).tolist():
            records = [self.record(trial, zero, lead, 0.0, 1.0) for trial, lead in zip(holes, leads, strict=True)]
            records += [self.record(trial, zero, 0.0, 0.0, 1.0) for trial in rivals]
            confirmed += advantage(records, "bill", 8).low >= LESS
        chances = set(STUDY.power(scale).values())
        assert len(chances) == 1
        assert stats.binomtest(confirmed, 300, chances.pop()).pvalue > 0.001
        assert STUDY.power(STUDY.scales["smoke"]) == {}
