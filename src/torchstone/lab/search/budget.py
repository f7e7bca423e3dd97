"""The same budget for every arm: how many settings, of how many steps each, with how many seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torchstone.lab.search.ranges import describe
from torchstone.lab.search.samplers import Sampler, random_setting, sobol_setting
from torchstone.lab.search.tpe import tpe_setting
from torchstone.lab.study import Json, Trial

SAMPLERS: Mapping[str, Sampler] = {"random": random_setting, "sobol": sobol_setting, "tpe": tpe_setting}
DIRECTIONS = ("maximize", "minimize")


@dataclass(frozen=True)
class Budget:
    """What every arm of a comparison may spend, its baseline included. It serves as a scale of a study.

    Args:
        settings: how many settings are tried for each seed (what Optuna calls trials).
        steps: how many steps of optimization each setting gets.
        seeds: how often the whole search is repeated, each time with another seed.

    Raises:
        ValueError: one of them is no whole number above 0.
    """

    settings: int
    steps: int
    seeds: int

    def __post_init__(self) -> None:
        for name, number in vars(self).items():
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                raise ValueError(f"{name} of a budget must be a whole number above 0, but it is {number!r}.")


def tuned_arms(
    recipes: Mapping[str, type],
    budget: Budget,
    *,
    sampler: str = "sobol",
    direction: str = "maximize",
    preprocessing: Json = None,
) -> list[Trial]:
    """The trials of a comparison in which every arm is tuned with the same budget, by the same search.

    One trial is one whole search of one arm with one seed, done by :func:`~torchstone.lab.search.tune`. So the interval
    over seeds holds the luck of tuning, too, and a search that looks at its past fits into trials that are fixed
    beforehand. The config of each trial says all that makes the comparison fair.

    Args:
        recipes: the frozen dataclass with ranges of each arm. An arm that is a control and not tuned, such as chance or
            an untrained network, does not belong here: add ``Trial(arm, seed, {"control": True})``.
        budget: what each arm may spend.
        sampler: ``random``, ``sobol``, or ``tpe`` (extra ``torchstone[search]``).
        direction: ``maximize`` or ``minimize`` the score.
        preprocessing: what happens to the data before an arm sees them, for the record.

    Returns:
        One trial for each arm and seed, ``seeds`` times as many as arms.

    Raises:
        ValueError: no such sampler or direction, no arms, or a recipe without ranges.
        TypeError: a recipe is no frozen dataclass.

    Example:
        >>> from torchstone.lab.search import log
        >>> @dataclass(frozen=True)
        ... class Recipe:
        ...     lr: float = log(1e-4, 1e-1)
        >>> trials = tuned_arms({"sgd": Recipe, "adam": Recipe}, Budget(settings=8, steps=100, seeds=3))
        >>> [(trial.arm, trial.seed, trial.config["search"]["settings"]) for trial in trials][:4]
        [('sgd', 0, 8), ('sgd', 1, 8), ('sgd', 2, 8), ('adam', 0, 8)]
    """
    _check("sampler", sampler, tuple(SAMPLERS))
    _check("direction", direction, DIRECTIONS)
    if not recipes:
        raise ValueError("recipes must hold at least one arm, but it is empty.")
    shared = asdict(budget) | {"sampler": sampler, "direction": direction, "selected_on": "validation"}
    said: dict[str, Any] = {} if preprocessing is None else {"preprocessing": preprocessing}
    return [
        Trial(arm, seed, {"search": shared | {"space": describe(recipe)}} | said)
        for arm, recipe in recipes.items()
        for seed in range(budget.seeds)
    ]


def _check(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, but it is {value!r}.")
