"""The plan of a run: trials are checked before any is run."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstone.lab import Claim, Context, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.encoding import digest
from torchstone.lab.plan import planned_trials
from torchstone.lab.task import Task


class Listed(Study):
    """A study whose scale is its list of trials."""

    claim = Claim("listed", "It is so.", Paper("A", 2000, "T"))
    scales: ClassVar[dict[str, Any]] = {}

    def trials(self, scale: Sequence[Trial]) -> Sequence[Trial]:
        return scale

    def run(self, trial: Trial, context: Context) -> Outcome:
        return Outcome()

    def judge(self, records: Sequence[Record]) -> Verdict:
        raise ArithmeticError


def plan(*trials: object, block: int = 0) -> Sequence[Trial]:
    class Given(Listed):
        scales: ClassVar[dict[str, Any]] = {"laptop": trials}

    return planned_trials(Given(), "laptop", block)


def test_block_s_adds_1000_s_to_each_seed() -> None:
    assert plan(Trial("a", 0, {"x": 1}), Trial("b", 999), block=2) == [Trial("a", 2000, {"x": 1}), Trial("b", 2999)]


def test_trials_may_differ_in_any_one_part() -> None:
    trials = [Trial("a", 0), Trial("b", 0), Trial("a", 1), Trial("a", 0, {"x": 1}), Trial("a", 0, {"x": 1.5})]
    assert plan(*trials) == trials


def test_a_config_is_planned_as_a_worker_and_a_record_give_it_back() -> None:
    (trial,) = plan(Trial("a", 0, {"z": (1, 0.1), "b": [{"y": True, "x": None}]}))
    assert trial.config == {"b": [{"x": None, "y": True}], "z": [1, 0.1]}
    assert list(trial.config) == ["b", "z"]


NAMES = st.text(max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(NAMES, inner),
    max_leaves=8,
)


@given(NAMES, st.integers(0, 999), st.dictionaries(NAMES, JSON))
def test_a_worker_sees_the_trial_that_was_planned(arm: str, seed: int, config: dict[str, Any]) -> None:
    (trial,) = plan(Trial(arm, seed, config), block=1)
    task = Task.of(Listed(), trial, device="cpu", out=Path("out"), scratch=Path("scratch"))
    seen = Task(**json.loads(json.dumps(asdict(task)))).trial
    assert (seen, repr(seen)) == (trial, repr(trial))
    assert digest(seen.config) == digest(config), "records of before keep counting"


@pytest.mark.parametrize(
    ("trials", "error", "message"),
    [
        ([], ValueError, "'listed' has no trials at the scale 'laptop'"),
        ([Trial("a", 0, {"x": [1]}), Trial("a", 0, {"x": (1,)})], ValueError, "twice; trials must differ"),
        ([Trial("a", 1000)], ValueError, "seeds must be whole numbers from 0 to 999"),
        ([Trial("a", -1)], ValueError, "seeds must be whole numbers from 0 to 999"),
        ([Trial("a", 0.5)], ValueError, "seeds must be whole numbers from 0 to 999"),
        ([Trial(7, 0)], TypeError, "arm must be the name of an arm, but 'listed' has Trial"),
        (["a"], TypeError, "must give Trial objects, but one is 'a'"),
        ([Trial("a", 0, {"x": {1}})], TypeError, "config must be made of JSON values"),
        ([Trial("a", 0, {"x": float("nan")})], TypeError, "config must be made of JSON values"),
        ([Trial("a", 0, {1: "x"})], TypeError, "keys must be text, but one is 1"),
    ],
)
def test_bad_plans(trials: list[object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        plan(*trials)


def test_a_scale_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="scale must be one of laptop for 'listed', but it is 'huge'"):
        planned_trials(type("Given", (Listed,), {"scales": {"laptop": []}})(), "huge", 0)
