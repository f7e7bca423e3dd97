"""The decision rule, case by case, and the verdict of the weakest primary check."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.lab import Check, Estimate, Status, Verdict
from torchstone.lab.verdict import decide


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [
        (0.5, 0.9, "confirmed"),
        (0.6, 0.7, "confirmed"),
        (0.2, 0.9, "weaker"),
        (0.11, 0.49, "weaker"),
        (-0.1, 0.1, "absent"),
        (0.02, 0.05, "absent"),
        (-0.05, -0.02, "absent"),
        (-0.9, -0.2, "opposite"),
        (-0.2, 0.2, "inconclusive"),
        (-0.2, 0.9, "inconclusive"),
        (-math.inf, math.inf, "inconclusive"),
        (math.nan, math.nan, "inconclusive"),
    ],
)
def test_each_case_of_the_rule(low: float, high: float, status: str) -> None:
    assert decide(Estimate((low + high) / 2, low, high), threshold=0.5, zone=0.1) == status


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(-1, 1))
def test_chance_moves_estimate_and_threshold_alike(low: float, width: float, chance: float) -> None:
    estimate = Estimate(low, low, low + width)
    moved = Estimate(low - chance, low - chance, low + width - chance)
    check = Check.at_least("x", estimate, 0.5 + chance, zone=0.1, chance=chance)
    assert check.status == decide(moved, 0.5 + chance - chance, 0.1)
    assert check.estimate == estimate


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(0.95, 1.05, "confirmed"), (0.8, 1.0, "inconclusive"), (0.5, 0.8, "opposite"), (1.2, 1.3, "opposite")],
)
def test_near(low: float, high: float, status: str) -> None:
    assert Check.near("x", Estimate(1.0, low, high), 1.0, within=0.1).status == status


@pytest.mark.parametrize(("threshold", "zone", "chance"), [(0.1, 0.0, 0.2), (0.5, -0.1, 0), (0.5, 0.5, 0), (-1, 0, 0)])
def test_a_rule_that_contradicts_itself_is_refused(threshold: float, zone: float, chance: float) -> None:
    with pytest.raises(ValueError, match="threshold of 'x' must lie above chance by more than zone"):
        Check.at_least("x", Estimate(0.5, 0.4, 0.6), threshold, zone=zone, chance=chance)
    with pytest.raises(ValueError, match="within of 'x' must be positive"):
        Check.near("x", Estimate(0.5, 0.4, 0.6), threshold, within=-abs(zone))


def test_an_estimate_keeps_plain_numbers() -> None:
    kept = Estimate(np.float32(0.5), torch.tensor(0.25), 1)
    assert (kept, {type(number) for number in vars(kept).values()}) == (Estimate(0.5, 0.25, 1.0), {float})


def test_a_check_says_what_it_accepts() -> None:
    point = Estimate(0.5, 0.4, 0.6)
    least = Check.at_least("", point, 0.9, zone=0.1)
    near = Check.near("", point, 0.25, within=0.125)
    assert (least.accepts, least.rule) == ((0.9, math.inf), "≥ 0.9")
    assert (near.accepts, near.rule) == ((0.125, 0.375), "0.25 ± 0.125")
    assert (Check.report("", point).accepts, Check.report("", point).rule) == (None, "")


def check(status: str, primary: bool = True) -> Check:
    return Check("x", Estimate(0, 0, 0), Status(status), None, primary)


def test_the_weakest_primary_check_speaks() -> None:
    order = ["confirmed", "weaker", "inconclusive", "absent", "opposite"]
    for weakest, status in enumerate(order):
        checks = [check(each) for each in order[: weakest + 1]]
        assert Verdict.of(*checks, check("opposite", primary=False), sentence="").status == status


def test_a_verdict_needs_a_primary_check() -> None:
    with pytest.raises(ValueError, match="at least one primary check"):
        Verdict.of(Check.report("x", Estimate(0, 0, 0)), check("confirmed", primary=False), sentence="")


def with_margin(margins: dict[str, float], level: float) -> list[Check]:
    """Checks whose intervals begin at their margin at 95 %, and further down the surer they have to be."""
    lows = {name: 0.5 + margin - 10 * (level - 0.95) for name, margin in margins.items()}
    return [Check.at_least(name, Estimate(1.0, low, 2.0), 0.5, zone=0.1) for name, low in lows.items()]


@pytest.mark.parametrize(
    ("margins", "status", "level"),
    [
        ({"a": 0.2}, "confirmed", "95"),
        ({"a": 0.2, "b": 0.2}, "weaker", "97.5"),
        ({"a": 0.3, "b": 0.1}, "confirmed", "95"),  # a at 97.5 %, then b alone at 95 %
        ({"a": 0.3, "b": -0.1}, "confirmed", "95"),
        ({"a": -0.6, "b": -0.6}, "inconclusive", "97.5"),
        ({"a": 0.4, "b": 0.34, "c": 0.26, "d": -9.0}, "confirmed", "95"),
        ({"a": 0.38, "b": 0.3, "c": 0.2, "d": -9.0}, "confirmed", "98.3"),
    ],
)
def test_any_of_several_at_holms_confidence(margins: dict[str, float], status: str, level: str) -> None:
    verdict = Verdict.any_of(lambda at: with_margin(margins, at), sentence="So.")
    assert (verdict.status, verdict.sentence) == (status, "So.")
    words = f"(any of {len(margins)} would do, {level} % interval)"
    assert [check.name for check in verdict.checks] == [f"{name} {words}" for name in margins]


def test_any_of_leaves_rows_that_decide_nothing_as_they_are() -> None:
    row = Check.report("cost", Estimate(3, 3, 3))
    verdict = Verdict.any_of(lambda at: [*with_margin({"a": -9.0, "b": 0.3}, at), row], sentence="")
    assert (verdict.status, verdict.checks[-1]) == ("confirmed", row)
    with pytest.raises(ValueError, match="at least one primary check"):
        Verdict.any_of(lambda at: [row], sentence="")


@given(st.lists(st.sampled_from(list(Status)), min_size=1, max_size=4))
def test_any_of_says_what_the_strongest_says_and_of_what_the_weakest_says(statuses: list[Status]) -> None:
    checks = [check(each) for each in statuses]
    order = list(Status).index
    assert Verdict.any_of(lambda at: checks, sentence="").status == min(statuses, key=order)
    assert Verdict.of(*checks, sentence="").status == max(statuses, key=order)
