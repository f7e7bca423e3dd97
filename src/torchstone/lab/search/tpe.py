"""Optuna's TPE as a pure function of what has been tried; needs the extra ``torchstone[search]``.

Optuna's own storage is not used: a study that is loaded again with the same seed repeats the draws that it began with,
and half of the budget is lost in silence. Here every setting is asked of a new sampler with a seed of its own, which
has been told all settings before, so a search that was killed goes on as if it had not been.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from torchstone.lab.search.ranges import Categorical, Integer, Log, Range, Value, space_of
from torchstone.lab.search.samplers import check_counts, sobol_setting, whole
from torchstone.lab.study import Unavailable

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

R = TypeVar("R")
STARTUP = 10


def tpe_setting(recipe: type[R], past: Sequence[tuple[R, float]] = (), *, seed: int, arm: str, k: int) -> R:
    """Setting ``k`` of a search by tree-structured Parzen estimators, which looks where past settings were good.

    The first ten are those of :func:`~torchstone.lab.search.sobol_setting`. A score that is not finite counts as the
    worst finite one.

    Args:
        recipe: a frozen dataclass with ranges.
        past: the settings 0 ... k-1 with their scores, of which the greatest is the best.
        seed: the seed of the search.
        arm: whose search it is; two arms get different points.
        k: the number of the setting, from 0.

    Raises:
        TypeError, ValueError: as for the other samplers, or ``past`` does not hold k settings.
        Unavailable: Optuna is not installed.

    Paper: Bergstra, Bardenet, Bengio & Kégl (2011), Algorithms for hyper-parameter optimization, NeurIPS, section 4.
    Differs from the paper: as Optuna does; and the first ten settings are Sobol's instead of random.
    """
    check_counts(seed, k)
    if len(past) != k:
        raise ValueError(f"past must hold the {k} settings before number {k}, but it holds {len(past)}.")
    _optuna()  # that it is missing is said before the first setting, not after the tenth
    if k < STARTUP:
        return sobol_setting(recipe, seed=seed, arm=arm, k=k)
    return recipe(**_ask(space_of(recipe), past, whole(seed, arm, k) % 2**32))


def _ask(space: Mapping[str, Range], past: Sequence[tuple[Any, float]], seed: int) -> dict[str, Value]:
    """What a new sampler proposes after it has been told the past."""
    with _told(space, past, seed) as study:
        proposed = study.ask({name: _distribution(span) for name, span in space.items()}).params
    return {name: _value(space[name], asked) for name, asked in proposed.items()}


@contextmanager
def _told(space: Mapping[str, Range], past: Sequence[tuple[Any, float]], seed: int) -> Iterator["Study"]:
    """An Optuna study in memory that knows the past; meanwhile Optuna keeps quiet."""
    optuna = _optuna()
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), direction="maximize")
        worst = min((score for _, score in past if math.isfinite(score)), default=0.0)
        for setting, score in past:
            study.add_trial(_tried(optuna, space, setting, score if math.isfinite(score) else worst))
        yield study
    finally:
        logger.setLevel(level)


def _tried(optuna: Any, space: Mapping[str, Range], setting: Any, score: float) -> Any:
    return optuna.trial.create_trial(
        params={name: _parameter(span, getattr(setting, name)) for name, span in space.items()},
        distributions={name: _distribution(span) for name, span in space.items()},
        value=score,
    )


def _distribution(span: Range) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(span, Categorical):
        return CategoricalDistribution(range(len(span.choices)))
    if isinstance(span, Integer):
        return IntDistribution(span.low, span.high, log=span.log)
    return FloatDistribution(span.low, span.high, log=isinstance(span, Log))


def _parameter(span: Range, value: Value) -> Any:
    """``value`` as Optuna knows it: a choice by its place, since Optuna takes 1, 1.0 and True for the same."""
    return int(span.code(value)) if isinstance(span, Categorical) else value


def _value(span: Range, parameter: Any) -> Value:
    chosen: Value = span.choices[parameter] if isinstance(span, Categorical) else parameter
    return chosen


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise Unavailable("The search 'tpe' needs Optuna: pip install 'torchstone[search]'.") from error
    return optuna
