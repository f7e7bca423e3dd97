import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tests.conftest import need

from torchstone.files import DamagedFileError
from torchstone.lab import Context, Sealed, SealedError, Splits, Trial
from torchstone.lab.search import (
    Attempt,
    Budget,
    Found,
    NothingFoundError,
    categorical,
    linear,
    random_setting,
    sobol_setting,
    tune,
    tuned_arms,
)


@dataclass(frozen=True)
class Recipe:
    x: float = linear(-1.0, 1.0)
    kind: str = categorical("good", "bad")


BUDGET = Budget(settings=8, steps=7, seeds=3)
Tune = Callable[..., Found[Recipe]]


def height(attempt: Attempt[Recipe, str]) -> float:
    return -abs(attempt.recipe.x) - (attempt.recipe.kind == "bad")


@pytest.fixture
def splits(tmp_path: Path) -> Splits[str]:
    return Splits("train", "validation", Sealed("test", tmp_path / "looks"))


@pytest.fixture
def search(tmp_path: Path, splits: Splits[str]) -> Tune:
    """Search the arm ``ours`` with seed 1: ``search(objective, progress, folder, **arguments of tuned_arms)``."""

    def searched(
        objective: Callable[[Attempt[Recipe, str]], float] = height,
        progress: Callable[[float, str], None] = lambda fraction, note: None,
        folder: str = "scratch",
        **plan: str,
    ) -> Found[Recipe]:
        trial = tuned_arms({"ours": Recipe}, BUDGET, **plan)[1]
        return tune(Recipe, objective, splits, trial, Context(torch.device("cpu"), tmp_path / folder, progress))

    return searched


@pytest.mark.parametrize(("sampler", "setting"), [("random", random_setting), ("sobol", sobol_setting)])
def test_the_best_of_the_samplers_settings_wins(search: Tune, sampler: str, setting: Callable[..., Recipe]) -> None:
    found = search(sampler=sampler)
    assert found.settings == [setting(Recipe, seed=1, arm="ours", k=k) for k in range(8)]
    best = min(found.settings, key=lambda s: abs(s.x) + (s.kind == "bad"))
    assert found.best == best
    assert found.score == -abs(best.x)


def test_minimize_is_maximize_of_the_negative(search: Tune) -> None:
    most = search()
    least = search(lambda attempt: -height(attempt), folder="other", direction="minimize")
    assert (least.best, least.score) == (most.best, -most.score)


def test_an_attempt_holds_what_the_budget_says_and_no_test_split(search: Tune) -> None:
    seen: list[Attempt[Recipe, str]] = []

    def look(attempt: Attempt[Recipe, str]) -> float:
        assert attempt.scratch.is_dir()
        seen.append(attempt)
        return 0.0

    found = search(look)
    assert [(a.k, a.train, a.validation, a.steps, a.seed) for a in seen] == [
        (k, "train", "validation", 7, 1) for k in range(8)
    ]
    assert len({attempt.scratch for attempt in seen}) == 8
    assert not any(attempt.scratch.exists() for attempt in seen), "checkpoints go when the score is known"
    assert not any(isinstance(value, Sealed | Splits) for value in vars(seen[0]).values())
    assert found.best == found.settings[0], "of equal scores the first wins"


@pytest.mark.parametrize("sampler", ["random", "sobol"])
@pytest.mark.parametrize("stop", range(8))
def test_a_search_that_was_stopped_goes_on_and_tries_nothing_twice(search: Tune, sampler: str, stop: int) -> None:
    tried: list[int] = []

    def stopping(attempt: Attempt[Recipe, str]) -> float:
        tried.append(attempt.k)
        if attempt.k == stop and tried.count(stop) == 1:
            raise KeyboardInterrupt
        return height(attempt)

    with pytest.raises(KeyboardInterrupt):
        search(stopping, sampler=sampler)
    resumed = search(stopping, sampler=sampler)
    assert tried == sorted([*range(8), stop])
    undisturbed = search(folder="other", sampler=sampler)
    assert resumed.metrics == undisturbed.metrics
    assert all(torch.equal(a, undisturbed.artifacts[name]) for name, a in resumed.artifacts.items())


def test_a_search_by_tpe_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path: Path, splits: Splits[str]) -> None:
    need(find_spec("optuna") is not None, "Optuna is missing: pip install 'torchstone[search]'.")
    [trial] = tuned_arms({"ours": Recipe}, Budget(settings=14, steps=1, seeds=1), sampler="tpe", direction="minimize")
    stops = iter([3, 12])
    stop = next(stops)

    def stopping(attempt: Attempt[Recipe, str]) -> float:
        nonlocal stop
        if attempt.k == stop:
            stop = next(stops, -1)
            raise KeyboardInterrupt
        return -height(attempt)

    stopped, undisturbed = (Context(torch.device("cpu"), tmp_path / name) for name in ("stopped", "undisturbed"))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            tune(Recipe, stopping, splits, trial, stopped)
    assert tune(Recipe, stopping, splits, trial, stopped) == tune(Recipe, stopping, splits, trial, undisturbed)


def test_a_finished_search_is_not_searched_again(search: Tune) -> None:
    def never(attempt: Attempt[Recipe, str]) -> float:
        raise AssertionError("it was on file")

    first = search()
    assert search(never).metrics == first.metrics


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_never_wins_and_counts_as_tried(search: Tune, broken: float, direction: str) -> None:
    found = search(lambda a: broken if a.k < 6 else height(a), direction=direction)
    assert found.best in found.settings[6:]
    assert found.metrics["search/settings"] == 8
    assert found.metrics["search/diverged"] == 6
    assert [each.note for each in found.tried] == [f"its score is {broken}"] * 6 + [""] * 2
    assert found.artifacts["search/scores"].isnan().sum() == 6


def test_a_setting_whose_training_diverged_is_kept_with_the_reason(search: Tune) -> None:
    def diverging(attempt: Attempt[Recipe, str]) -> float:
        if attempt.k == 3:
            raise FloatingPointError("the loss was nan in step 5")
        return height(attempt)

    found = search(diverging)
    assert (found.tried[3].note, found.metrics["search/diverged"]) == ("the loss was nan in step 5", 1)
    assert search(diverging).tried[3].note == "the loss was nan in step 5", "it comes from the file"


def test_a_search_in_which_all_diverged_is_an_error_that_counts_as_divergence(search: Tune) -> None:
    with pytest.raises(NothingFoundError, match="All 8 settings of Recipe diverged; the last: its score is nan"):
        search(lambda attempt: math.nan)
    assert issubclass(NothingFoundError, FloatingPointError)


def test_other_errors_are_not_taken_for_divergence(search: Tune) -> None:
    with pytest.raises(ZeroDivisionError):
        search(lambda attempt: 1 / 0)


@pytest.mark.parametrize("score", [None, "high", torch.zeros(2), [0.1]])
def test_a_score_that_is_no_number_is_refused(search: Tune, score: object) -> None:
    with pytest.raises(TypeError, match="objective must give one number, but for Recipe"):
        search(lambda attempt: score)


def test_selection_cannot_see_the_test_split(search: Tune, splits: Splits[str]) -> None:
    with pytest.raises(SealedError, match="Compare them on the validation split"):
        search(lambda attempt: len(splits.test.open("peeking")))
    assert splits.test.openings == 0
    assert splits.test.open("afterwards") == "test"


def test_the_record_says_what_was_chosen_and_what_was_tried(search: Tune) -> None:
    found = search()
    assert found.metrics == {
        "validation": found.score,
        "search/settings": 8,
        "search/diverged": 0,
        "best/x": found.best.x,
        "best/kind": 0,
    }
    kinds = [float(setting.kind == "bad") for setting in found.settings]
    assert found.artifacts["search/settings"].tolist() == [
        [setting.x, kind] for setting, kind in zip(found.settings, kinds, strict=True)
    ]
    assert found.artifacts["search/scores"].tolist() == [each.score for each in found.tried]


def test_progress_is_that_of_the_whole_search(search: Tune) -> None:
    told: list[tuple[float, str]] = []

    def half(attempt: Attempt[Recipe, str]) -> float:
        attempt.progress(0.5, "step 3/7")
        return 0.0

    search(half, progress=lambda fraction, note: told.append((fraction, note)))
    assert told[:3] == [(1 / 16, "setting 1/8 step 3/7"), (1 / 8, "setting 1/8"), (3 / 16, "setting 2/8 step 3/7")]
    assert told[-1] == (1.0, "setting 8/8")


def test_a_damaged_file_is_refused_at_every_byte(search: Tune, tmp_path: Path) -> None:
    search()
    file = tmp_path / "scratch" / "search.json"
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(DamagedFileError, match=r"search\.json is damaged.*Delete it"):
            search()
    for text in (b"", whole[:-1], whole[1:], b"{}", b"\xff\n"):
        file.write_bytes(text)
        with pytest.raises(DamagedFileError):
            search()


def test_the_file_of_another_search_is_refused(search: Tune) -> None:
    search()
    with pytest.raises(ValueError, match=r"search\.json holds another search"):
        search(sampler="random")


def test_a_trial_of_another_plan_is_refused(tmp_path: Path, splits: Splits[str]) -> None:
    @dataclass(frozen=True)
    class Wider:
        x: float = linear(-2.0, 2.0)

    context = Context(torch.device("cpu"), tmp_path)
    with pytest.raises(ValueError, match=r"the config of Trial.* has no 'search'"):
        tune(Recipe, height, splits, Trial("ours", 0), context)
    [trial, *_] = tuned_arms({"ours": Wider}, BUDGET)
    with pytest.raises(ValueError, match=r"Recipe has the ranges .* and the trial was planned with"):
        tune(Recipe, height, splits, trial, context)


def test_a_trial_read_from_its_record_is_as_good(search: Tune, splits: Splits[str], tmp_path: Path) -> None:
    trial = tuned_arms({"ours": Recipe}, BUDGET)[1]
    recorded = Trial(trial.arm, trial.seed, json.loads(json.dumps(trial.config)))
    context = Context(torch.device("cpu"), tmp_path / "other")
    assert tune(Recipe, height, splits, recorded, context) == search()


def test_every_arm_gets_the_same_budget_and_the_trials_say_it() -> None:
    trials = tuned_arms({"a": Recipe, "b": Recipe}, BUDGET, preprocessing={"resize": 32})
    assert [(trial.arm, trial.seed) for trial in trials] == [(arm, seed) for arm in "ab" for seed in range(3)]
    searched = [{name: value for name, value in trial.config["search"].items() if name != "space"} for trial in trials]
    said = {"settings": 8, "steps": 7, "seeds": 3, "sampler": "sobol", "direction": "maximize"}
    assert searched == [said | {"selected_on": "validation"}] * 6
    assert all(trial.config["preprocessing"] == {"resize": 32} for trial in trials)


def test_plans_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="sampler must be one of random, sobol, tpe, but it is 'grid'"):
        tuned_arms({"a": Recipe}, BUDGET, sampler="grid")
    with pytest.raises(ValueError, match="direction must be one of maximize, minimize, but it is 'up'"):
        tuned_arms({"a": Recipe}, BUDGET, direction="up")
    with pytest.raises(ValueError, match="at least one arm"):
        tuned_arms({}, BUDGET)
    for wrong in (0, -1, 1.5, True, None):
        with pytest.raises(ValueError, match="settings of a budget must be a whole number above 0"):
            Budget(settings=wrong, steps=1, seeds=1)
