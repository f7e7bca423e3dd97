"""The claim about rings of bits: its rule on planted records, and the ways in which a ring can be solved."""

import itertools
import math

import pytest
import torch

from torchstone.lab import Estimate, Record, Status, Trial
from torchstone.studies.programs.chain_solving import combinations, fitted, gone_around, searched
from torchstone.studies.programs.chains import chain, drawn, propagated, xor
from torchstone.studies.programs.gradients_lose_to_search_on_discrete_chains import (
    GRADIENTS,
    GradientsLoseToSearch,
    at_least_once,
    guessed,
)

STUDY = GradientsLoseToSearch()
RINGS, STARTS = 24, 5


class TestRings:
    @pytest.mark.parametrize("bits", [3, 4, 7])
    def test_search_solves_them_in_as_many_runs_as_there_are_combinations(self, bits: int) -> None:
        solved, runs = searched(drawn(bits, seed=bits))
        assert solved
        assert runs == combinations(bits)

    def test_going_around_finds_the_bits(self) -> None:
        for ring in itertools.product([0.0, 1.0], repeat=4):
            bits = torch.tensor(ring)
            example = bits[0], xor(bits, bits.roll(-1))
            assert propagated(*example).equal(bits)
            assert gone_around(example) == (True, 1)

    def test_only_one_combination_solves_a_ring(self) -> None:
        first, xors = drawn(6, seed=0)
        assert chain(6).search([((first,), xors)], batching="none").ties == 1

    def test_the_xor_of_probabilities_is_that_of_independent_bits(self) -> None:
        p, q = torch.tensor([0.3, 0.9]).unbind()
        torch.testing.assert_close(xor(p, q), p * (1 - q) + q * (1 - p))

    @pytest.mark.parametrize("kind", GRADIENTS)
    def test_a_start_costs_what_was_agreed(self, kind: str) -> None:
        solved, runs = fitted(drawn(4, seed=0), kind, runs=32, starts=2, seed=0)
        assert len(solved) == 3
        assert 32 <= runs <= 32 + 130  # at most: L-BFGS

    def test_from_even_odds_averages_spread_from_the_bit_that_is_known(self) -> None:
        (even, _), _ = fitted(drawn(12, seed=1), "mix", runs=64, starts=1, seed=0)
        assert even

    def test_gradients_are_the_same_again(self) -> None:
        one, two = (fitted(drawn(5, seed=2), "sample", runs=16, starts=2, seed=3) for _ in range(2))
        assert one == two


def planted(short: float = 1.0, few: float = 0.4, many: float = 0.0, search: float = 1.0) -> list[Record]:
    """Records of shares, laid out evenly over the starts."""
    chances = {4: short, 8: few, 16: many}
    records = []
    for arm, bits, seed in itertools.product((*GRADIENTS, "search"), chances, range(RINGS)):
        trial = Trial(arm, seed, {"bits": bits, "runs": 128, "starts": STARTS})
        if arm == "search":
            metrics = {"solved": float(seed < search * RINGS)}
        else:
            found = [seed * STARTS + start < chances[bits] * RINGS * STARTS for start in range(STARTS)]
            share = math.nan if math.isnan(chances[bits]) else sum(found) / STARTS
            metrics = {"solved": float(any(found)), "random starts that solve": share, "solved from even odds": 1.0}
        records.append(Record(trial, metrics | {"runs of the program": 128.0}, {}, 1.0))
    return records


class TestRule:
    def test_is_confirmed(self) -> None:
        verdict = STUDY.judge(planted())
        assert verdict.status is Status.CONFIRMED
        assert sum(check.primary for check in verdict.checks) == 3 * len(GRADIENTS) + 1
        assert "0% to 0% of those of 16" in verdict.sentence
        assert "Short of the rule" not in verdict.sentence

    def test_says_what_falls_short(self) -> None:
        sentence = STUDY.judge(planted(few=0.8)).sentence
        assert sentence.endswith("; 8 bits, sample: random starts that get stuck.")
        assert "Short of the rule: 8 bits, mix: random starts that get stuck; " in sentence

    @pytest.mark.parametrize(
        ("shares", "status"),
        [
            ({"short": 0.7}, Status.WEAKER),  # so the length is not what does it
            ({"few": 0.8}, Status.WEAKER),
            ({"few": 1.0}, Status.ABSENT),
            ({"many": 0.6}, Status.WEAKER),
            ({"many": 1.0}, Status.ABSENT),
            ({"search": 0.5}, Status.WEAKER),
            ({"few": math.nan}, Status.INCONCLUSIVE),
        ],
    )
    def test_is_not_of_anything_else(self, shares: dict[str, float], status: Status) -> None:
        assert STUDY.judge(planted(**shares)).status is status

    def test_restarts_and_guesses(self) -> None:
        assert at_least_once(Estimate(0.5, 0.0, 1.0), 3) == Estimate(0.875, 0.0, 1.0)
        assert guessed(2, 1) == 0.5
        assert guessed(3, 2) == pytest.approx(1 - (3 / 4) ** 2)

    def test_search_is_left_out_where_combinations_are_many(self) -> None:
        trials = STUDY.trials(STUDY.scales["paper"])
        assert {trial.config["bits"] for trial in trials if trial.arm == "search"} == {4, 8, 16}

    def test_power_is_declared_of_every_check_about_gradients(self) -> None:
        declared = STUDY.power(STUDY.scales["laptop"])
        names = [check.name for check in STUDY.judge(planted()).checks if check.primary]
        assert all(sum(name.startswith(key) for name in names) == 1 for key in declared)
        assert len(declared) == 3 * len(GRADIENTS)
        assert min(declared.values()) > 0.8
        assert STUDY.power(STUDY.scales["paper"]) == {}
