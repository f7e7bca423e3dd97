import hashlib
import logging
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import need

from torchstone.lab.search import (
    categorical,
    integer,
    linear,
    log,
    random_setting,
    sobol_setting,
    space_of,
    tpe_setting,
)
from torchstone.lab.search.samplers import Sampler

PLAIN = [random_setting, sobol_setting]


@dataclass(frozen=True)
class Recipe:
    lr: float = log(1e-4, 1e-1)
    momentum: float = linear(0.0, 1.0)
    width: int = integer(8, 64)
    kind: str | None = categorical("adam", "sgd", None)


@dataclass(frozen=True)
class Square:
    x: float = linear(0.0, 1.0)
    y: float = linear(0.0, 1.0)


@pytest.fixture
def optuna_installed() -> None:
    need(find_spec("optuna") is not None, "Optuna is missing: pip install 'torchstone[search]'.")


def searched(setting: Recipe) -> float:
    """A score whose best is lr = 0.01, momentum = 0.8, with sgd."""
    return -((np.log10(setting.lr) + 2) ** 2) - (setting.momentum - 0.8) ** 2 - (setting.kind != "sgd")


def search(sampler: Sampler, settings: int, past: Sequence[tuple[Recipe, float]] = (), **who: object) -> list:
    """``past`` and what follows it."""
    past = list(past)
    for k in range(len(past), settings):
        setting = sampler(Recipe, past, k=k, **({"seed": 0, "arm": "ours"} | who))
        past.append((setting, searched(setting)))
    return past


@pytest.mark.parametrize("sampler", PLAIN)
def test_settings_do_not_depend_on_the_order_in_which_they_are_asked_for(sampler: Sampler) -> None:
    forwards = [sampler(Recipe, seed=3, arm="ours", k=k) for k in range(20)]
    backwards = [sampler(Recipe, seed=3, arm="ours", k=k) for k in reversed(range(20))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == 20


@pytest.mark.parametrize("sampler", PLAIN)
def test_seeds_arms_and_numbers_have_settings_of_their_own(sampler: Sampler) -> None:
    drawn = [sampler(Square, seed=s, arm=a, k=k) for s in (0, 1, 10) for a in ("a", "b", "") for k in (0, 1, 10)]
    assert len(set(drawn)) == 27


@pytest.mark.parametrize("sampler", PLAIN)
@given(seed=st.integers(0, 2**70), arm=st.text(max_size=5), k=st.integers(0, 2**20))
def test_every_setting_lies_in_the_space(sampler: Sampler, seed: int, arm: str, k: int) -> None:
    setting = sampler(Recipe, seed=seed, arm=arm, k=k)
    assert all(span.holds(getattr(setting, name)) for name, span in space_of(Recipe).items())


def test_random_settings_depend_on_no_library() -> None:
    """What a record says must come again with every version of every library: 53 bits of a SHA-256."""

    def draw(field: str) -> float:
        text = f'[0,"ours",4,"{field}"]'
        return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) // 2**11 / 2**53

    assert random_setting(Square, seed=0, arm="ours", k=4) == Square(draw("x"), draw("y"))


def test_random_settings_are_uniform_and_the_fields_independent() -> None:
    points = np.array([(s.x, s.y) for s in (random_setting(Square, seed=0, arm="a", k=k) for k in range(2000))])
    counts = np.histogram2d(points[:, 0], points[:, 1], bins=5, range=[[0, 1], [0, 1]])[0]
    chi_squared = ((counts - 80) ** 2 / 80).sum()
    assert chi_squared < 51.2, "the 99.9 % point of 24 degrees of freedom"


def test_a_field_more_leaves_the_random_draws_of_the_others_as_they_were() -> None:
    @dataclass(frozen=True)
    class Cube(Square):
        z: float = linear(0.0, 1.0)

    flat, deep = (random_setting(kind, seed=0, arm="a", k=5) for kind in (Square, Cube))
    assert (deep.x, deep.y) == (flat.x, flat.y)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_sobol_points_are_a_net(seed: int) -> None:
    """Of the first 16 points each box of size 1/16 of the square has exactly one, whatever its shape."""
    points = [sobol_setting(Square, seed=seed, arm="a", k=k) for k in range(16)]
    for across in (1, 2, 4, 8, 16):
        boxes = {(int(p.x * across), int(p.y * (16 // across))) for p in points}
        assert len(boxes) == 16


def test_sobol_points_are_those_of_scipy_drawn_at_once() -> None:
    from scipy.stats.qmc import Sobol

    from torchstone.lab.search.samplers import whole

    at_once = Sobol(2, scramble=True, seed=np.random.default_rng(whole(7, "a"))).random(16)
    one_by_one = [sobol_setting(Square, seed=7, arm="a", k=k) for k in range(16)]
    assert [(p.x, p.y) for p in one_by_one] == [tuple(row) for row in at_once.tolist()]


def test_settings_are_the_same_in_another_process() -> None:
    program = (
        "from dataclasses import dataclass\n"
        "from torchstone.lab.search import linear, random_setting, sobol_setting\n"
        "@dataclass(frozen=True)\nclass Square:\n    x: float = linear(0.0, 1.0)\n    y: float = linear(0.0, 1.0)\n"
        "print([sampler(Square, seed=5, arm='a', k=9) for sampler in (random_setting, sobol_setting)])"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert there.strip() == str([sampler(Square, seed=5, arm="a", k=9) for sampler in PLAIN])


@pytest.mark.parametrize("sampler", [*PLAIN, tpe_setting])
@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 0.5}, {"k": -1}, {"k": True}, {"k": None}])
def test_what_is_no_count_is_refused(sampler: Sampler, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a whole number, 0 or more, but it is"):
        sampler(Recipe, **({"seed": 0, "arm": "a", "k": 0} | wrong))


def test_the_sobol_sequence_ends() -> None:
    with pytest.raises(ValueError, match="k must be below"):
        sobol_setting(Square, seed=0, arm="a", k=2**30)


@pytest.mark.usefixtures("optuna_installed")
def test_tpe_goes_on_after_a_restart_as_if_there_had_been_none() -> None:
    undisturbed = search(tpe_setting, 16)
    for stopped in (3, 12):
        assert search(tpe_setting, 16, undisturbed[:stopped]) == undisturbed
    settings = [setting for setting, _ in undisturbed]
    assert len(set(settings)) == 16, "no setting is repeated"


@pytest.mark.usefixtures("optuna_installed")
def test_optuna_by_itself_repeats_its_settings_after_a_restart(caplog: pytest.LogCaptureFixture) -> None:
    """The fault that is guarded against, seen: without it the guard could go."""
    import optuna

    storage = optuna.storages.InMemoryStorage()

    def started_again() -> list[float]:
        sampler = optuna.samplers.TPESampler(seed=0)
        study = optuna.create_study(study_name="s", storage=storage, load_if_exists=True, sampler=sampler)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=3)
        return [trial.params["x"] for trial in study.trials]

    with caplog.at_level(logging.ERROR, "optuna"):
        first, both = started_again(), started_again()
    assert both == first + first


@pytest.mark.usefixtures("optuna_installed")
def test_tpe_looks_where_it_was_good() -> None:
    found = search(tpe_setting, 40)
    early, late = ([score for _, score in part] for part in (found[:10], found[-10:]))
    assert np.mean(late) > max(np.mean(early), np.median([score for _, score in search(sobol_setting, 40)]))


@pytest.mark.usefixtures("optuna_installed")
def test_tpe_takes_every_kind_of_range_and_stays_inside() -> None:
    for setting, _ in search(tpe_setting, 14):
        assert all(span.holds(getattr(setting, name)) for name, span in space_of(Recipe).items())


@pytest.mark.usefixtures("optuna_installed")
def test_tpe_takes_what_diverged_for_the_worst() -> None:
    past = search(sobol_setting, 12)
    scores = [score for _, score in past]
    lost = {0, 3, 6, 9} - {scores.index(min(scores))}
    diverged, as_worst = (
        [(setting, instead if i in lost else score) for i, (setting, score) in enumerate(past)]
        for instead in (float("nan"), min(scores))
    )
    asked = [tpe_setting(Recipe, told, seed=0, arm="a", k=12) for told in (diverged, as_worst)]
    assert asked[0] == asked[1]
    nothing = [(setting, float("-inf")) for setting, _ in past]
    assert isinstance(tpe_setting(Recipe, nothing, seed=0, arm="a", k=12), Recipe)


@pytest.mark.usefixtures("optuna_installed")
def test_tpe_leaves_the_voice_of_optuna_as_it_was() -> None:
    before = logging.getLogger("optuna").level
    search(tpe_setting, 11)
    assert logging.getLogger("optuna").level == before


def test_tpe_needs_the_whole_past() -> None:
    with pytest.raises(ValueError, match="past must hold the 12 settings before number 12, but it holds 0"):
        tpe_setting(Recipe, [], seed=0, arm="a", k=12)


def test_tpe_without_optuna_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchstone.lab import Unavailable

    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(Unavailable, match=r"pip install 'torchstone\[search\]'"):
        search(tpe_setting, 1)
