"""One search: settings are tried one after another on the validation split, and what was tried survives a kill."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from torchstone.lab.encoding import to_json
from torchstone.lab.search.budget import SAMPLERS
from torchstone.lab.search.journal import Journal, Tried
from torchstone.lab.search.ranges import describe, space_of
from torchstone.lab.splits import Splits
from torchstone.lab.study import Context, Trial

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True)
class Attempt(Generic[R, T]):
    """One setting to be tried, with all that it may use; the test split is not among it.

    Args:
        k: the number of the setting, from 0.
        recipe: the setting.
        train: what models learn from.
        validation: what the score is measured on.
        steps: how many steps of optimization it gets.
        seed: the seed of the trial: every setting starts from the same random numbers.
        scratch: a folder for checkpoints of this setting; it survives a kill and goes when the setting has its score.
        progress: called with the fraction done in [0, 1] and a short note.
    """

    k: int
    recipe: R
    train: T
    validation: T
    steps: int
    seed: int
    scratch: Path
    progress: Callable[[float, str], None]


@dataclass(frozen=True)
class Found(Generic[R]):
    """What a search found: the best setting, and every setting with its score.

    Args:
        best: the setting with the best score; of equal ones the first.
        score: its score on the validation split.
        settings: all settings, in the order in which they were tried.
        tried: the same as they are on file: values by name, the score, and why it is NaN, if it is.
    """

    best: R
    score: float
    settings: Sequence[R]
    tried: Sequence[Tried]

    @property
    def metrics(self) -> dict[str, float]:
        """Best score, what it was reached with, and what was spent, for an :class:`~torchstone.lab.study.Outcome`.

        A choice is written as its place among the choices; the space is in the config of the trial.
        """
        space = space_of(type(self.best))
        chosen = {f"best/{name}": span.code(getattr(self.best, name)) for name, span in space.items()}
        diverged = sum(not math.isfinite(each.score) for each in self.tried)
        spent = {"search/settings": float(len(self.tried)), "search/diverged": float(diverged)}
        return {"validation": self.score} | spent | chosen

    @property
    def artifacts(self) -> dict[str, Tensor]:
        """Scores, shape (k,), and settings as numbers, shape (k, p) for p ranges: what a curve of best-of-n needs."""
        space = space_of(type(self.best))
        rows = [[span.code(getattr(each, name)) for name, span in space.items()] for each in self.settings]
        scores = [each.score for each in self.tried]
        return {
            "search/scores": torch.tensor(scores, dtype=torch.float64),
            "search/settings": torch.tensor(rows, dtype=torch.float64),
        }


class NothingFoundError(FloatingPointError):
    """Every setting of a search diverged."""


def tune(
    recipe: type[R],
    objective: Callable[[Attempt[R, T]], float],
    splits: Splits[T],
    trial: Trial,
    context: Context,
) -> Found[R]:
    """Try as many settings of ``recipe`` as the trial's budget says, and give the best on the validation split.

    While it goes on, the test split cannot be opened. Each score is on file when it is known, and a search that was
    killed goes on with the next setting. A score that is not finite never wins, and neither does a setting whose
    training raised ``FloatingPointError``; both count as tried.

    Args:
        recipe: the frozen dataclass with ranges that this arm is searched over.
        objective: trains with ``attempt.recipe`` on ``attempt.train`` for ``attempt.steps`` steps and gives the
            score on ``attempt.validation``; a function of the attempt alone.
        splits: the data.
        trial: one of :func:`~torchstone.lab.search.tuned_arms`; budget, sampler and direction are in its config.
        context: what ``Study.run`` was given.

    Raises:
        ValueError: the trial is not from ``tuned_arms``, or is of another recipe.
        NothingFoundError: no setting has a finite score.
        SealedError: the objective opened the test split.
        TypeError: a score is no number.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from torchstone.lab import Sealed, Splits
        >>> from torchstone.lab.search import Budget, linear, tuned_arms
        >>> @dataclass(frozen=True)
        ... class Recipe:
        ...     guess: float = linear(0.0, 10.0)
        >>> [trial] = tuned_arms({"ours": Recipe}, Budget(settings=16, steps=1, seeds=1), direction="minimize")
        >>> with TemporaryDirectory() as folder:
        ...     splits = Splits(train=2.0, validation=3.0, test=Sealed(3.1, Path(folder) / "looks"))
        ...     context = Context(torch.device("cpu"), Path(folder))
        ...     found = tune(Recipe, lambda a: abs(a.recipe.guess - a.validation), splits, trial, context)
        ...     error = abs(found.best.guess - splits.test.open("the best guess"))
        ...     (error < 1, splits.test.openings, len(found.tried))
        (True, 1, 16)

    Paper: Musgrave, Belongie & Lim (2020), A metric learning reality check, arXiv:2003.08505, section 3 (the protocol).
    Differs from the paper: one validation split unless ``splits`` holds folds; the sampler is the trial's.
    """
    plan = _plan(recipe, trial)
    journal = Journal(context.scratch / "search.json", {"arm": trial.arm, "seed": trial.seed, **plan})
    search = _Search(recipe, splits, trial, context, plan, journal)
    with splits.test.locked():
        for k in range(len(journal.tried), plan["settings"]):
            search.put_on_file(search.attempt(k), objective)
    return search.found()


def _plan(recipe: type, trial: Trial) -> Mapping[str, Any]:
    """What the trial's config says of the search, once it is sure that it speaks of ``recipe``."""
    plan: Mapping[str, Any] | None = trial.config.get("search")
    if plan is None:
        raise ValueError(f"trial must be one that tuned_arms() gave, but the config of {trial} has no 'search'.")
    if to_json(plan["space"]) != to_json(describe(recipe)):
        raise ValueError(
            f"recipe must be what tuned_arms() was given for the arm '{trial.arm}', but {recipe.__name__} has the "
            f"ranges {describe(recipe)} and the trial was planned with {plan['space']}."
        )
    return plan


@dataclass(frozen=True)
class _Search(Generic[R, T]):
    """A search on its way."""

    recipe: type[R]
    splits: Splits[T]
    trial: Trial
    context: Context
    plan: Mapping[str, Any]
    journal: Journal

    def attempt(self, k: int) -> Attempt[R, T]:
        """Setting ``k``, which the sampler chooses when all before it are on file."""
        past = [(self.recipe(**each.setting), self.sign * each.score) for each in self.journal.tried]
        sampler = SAMPLERS[self.plan["sampler"]]
        setting = sampler(self.recipe, past, seed=self.trial.seed, arm=self.trial.arm, k=k)
        scratch = self.context.scratch / f"setting-{k}"
        scratch.mkdir(parents=True, exist_ok=True)
        data, steps = (self.splits.train, self.splits.validation), self.plan["steps"]
        return Attempt(k, setting, *data, steps, self.trial.seed, scratch, partial(self.progress, k))

    def put_on_file(self, attempt: Attempt[R, T], objective: Callable[[Attempt[R, T]], float]) -> None:
        """Measure a setting, and write its score down; only then its checkpoints go."""
        score, note = _score(objective, attempt)
        values = {name: getattr(attempt.recipe, name) for name in space_of(self.recipe)}
        self.journal.add(Tried(values, score, note))
        shutil.rmtree(attempt.scratch, ignore_errors=True)
        attempt.progress(1.0, "")

    def progress(self, k: int, fraction: float, note: str) -> None:
        """The progress of setting ``k`` as that of the whole search."""
        settings = self.plan["settings"]
        self.context.progress((k + fraction) / settings, f"setting {k + 1}/{settings} {note}".rstrip())

    def found(self) -> Found[R]:
        """The best of what is on file."""
        tried = self.journal.tried
        finite = [k for k, each in enumerate(tried) if math.isfinite(each.score)]
        if not finite:
            name, last = self.recipe.__name__, tried[-1].note
            raise NothingFoundError(f"All {len(tried)} settings of {name} diverged; the last: {last}.")
        best = max(finite, key=lambda k: self.sign * tried[k].score)
        settings = [self.recipe(**each.setting) for each in tried]
        return Found(settings[best], tried[best].score, settings, tried)

    @property
    def sign(self) -> int:
        """What turns a score into one of which the greatest is the best."""
        return 1 if self.plan["direction"] == "maximize" else -1


def _score(objective: Callable[[Attempt[R, T]], float], attempt: Attempt[R, T]) -> tuple[float, str]:
    """The score of a setting, and why it is NaN if it is."""
    try:
        score = objective(attempt)
    except FloatingPointError as divergence:
        return math.nan, str(divergence) or "it diverged"
    try:
        number = float(score)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"objective must give one number, but for {attempt.recipe} it gave {score!r}.") from error
    return (number, "") if math.isfinite(number) else (math.nan, f"its score is {number}")
