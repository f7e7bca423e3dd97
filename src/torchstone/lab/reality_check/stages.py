"""The two stages of a reality check as studies: settings are tried on validation folds, the best are run afresh."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

from torchstone.lab.claim import Claim, Paper
from torchstone.lab.divergence import Diverged
from torchstone.lab.splits import Sealed
from torchstone.lab.statistics import mean_interval, paired_difference
from torchstone.lab.study import Context, Outcome, Record, Study, Trial
from torchstone.lab.verdict import Check, Status, Verdict

if TYPE_CHECKING:
    from torchstone.lab.reality_check.check import RealityCheck

SCALE = "laptop"
PAPER = Paper("Musgrave, Belongie, Lim", 2020, "A metric learning reality check", "2003.08505", "section 3")
DIFFERS = (
    "A Sobol or random search instead of Bayesian optimization.",
    "The number of steps is fixed, not found by early stopping on validation data.",
    "Embeddings of single models are scored as the method gives them.",
    "Methods, data and metric are the user's.",
)


@dataclass(frozen=True)
class Chosen:
    """The best setting of a method.

    Args:
        setting: its values by name.
        scores: the mean validation score of every setting, in the order of the search; NaN where a fold diverged.
    """

    setting: Mapping[str, Any]
    scores: Sequence[float]

    @property
    def best(self) -> float:
        """The score of the best setting."""
        return max(score for score in self.scores if math.isfinite(score))


class Stage(Study):
    """A study of a check, which stands in its class, so that a worker process makes it without arguments."""

    check: ClassVar["RealityCheck[Any]"]


class Tuning(Stage):
    """One trial is one setting of one method, trained and validated on one fold: no trial opens the test part."""

    def trials(self, scale: object) -> Sequence[Trial]:
        """Every method, setting and fold."""
        check = self.check
        return [
            Trial(method, 0, check.plan(method) | {"setting": k, "fold": fold})
            for method in check.methods
            for k in range(check.settings)
            for fold in range(check.folds)
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Train on the fold's classes, and give the score on those that it holds out."""
        check, fold = self.check, trial.config["fold"]
        train, validation = check.parts.folds[fold]
        setting = check.setting(trial.arm, trial.config["setting"], trial.seed)
        embedder = check.make(trial.arm, setting, trial.seed, fold)
        embedder.fit(train, steps=check.steps)
        return Outcome({"validation": scored(check.metric, checked(embedder.embed(validation), trial.arm), validation)})

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Nothing: a choice is made by these scores, so they can prove nothing."""
        return Verdict(
            Status.INCONCLUSIVE, "Settings were compared on validation folds; nothing is judged by that.", ()
        )


class Reproducing(Stage):
    """One trial is one fresh run of a method's best setting: a model for each fold, then one look at the test part."""

    def __init__(self, chosen: Mapping[str, Chosen] | None = None) -> None:
        self.chosen = chosen or {}

    def trials(self, scale: object) -> Sequence[Trial]:
        """Every method that was tuned, and every control, with the same seeds, which no tuning has seen."""
        check = self.check
        configs = {method: self._config(method) for method in self.chosen} | dict.fromkeys(
            check.controls, check.shared | {"control": True, "steps": check.steps}
        )
        return [
            Trial(arm, seed, config) for arm, config in configs.items() for seed in range(1, check.reproductions + 1)
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Train a model on each fold; then open the test part, and score them separately and concatenated."""
        check, parts = self.check, self.check.parts
        test = Sealed(parts.test, context.scratch / "looks")
        embedders = []
        with test.locked():
            for fold, (train, _) in enumerate(parts.folds):
                embedder = check.make(trial.arm, trial.config.get("chosen", {}), trial.seed, fold)
                embedder.fit(train, steps=check.steps)
                embedders.append(embedder)
                context.progress((fold + 1) / (check.folds + 1), f"fold {fold + 1}/{check.folds}")
        data = test.open("the models of all folds")
        embeddings = [checked(embedder.embed(data), trial.arm) for embedder in embedders]
        scores = [scored(check.metric, each, data) for each in embeddings]
        found: dict[str, float] = {
            "separated": sum(scores) / len(scores),
            "concatenated": scored(check.metric, concatenated(embeddings), data),
        }
        sizes = {"embedding_size": float(embeddings[0].shape[1])}
        return Outcome({**found, **sizes, **test.metrics}, {"folds": torch.tensor(scores, dtype=torch.float64)})

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Are the methods alike? Every pair must lie within the zone that was stated beforehand."""
        by_arm = values_of(records, "concatenated")
        pairs = list(combinations(self.check.methods, 2))
        alike = [
            Check.near(f"{a} - {b}", paired_difference(by_arm[a], by_arm[b]), 0.0, within=self.check.zone)
            for a, b in pairs
        ]
        rows = [Check.report(arm, mean_interval(values)) for arm, values in by_arm.items()]
        count = sum(check.status is Status.CONFIRMED for check in alike)
        sentence = f"{count} of {len(pairs)} pairs of methods are equivalent within {self.check.zone:g}."
        return Verdict.of(*alike, *rows, sentence=sentence)

    def _config(self, method: str) -> dict[str, Any]:
        check, chosen = self.check, self.chosen[method]
        search = check.plan(method) | {"settings": len(chosen.scores), "selected_on": "validation"}
        return check.shared | {"search": search, "chosen": chosen.setting}


def stage_of(check: "RealityCheck[Any]", stage: type[Stage], *, place: str, name: str, sentence: str) -> type[Any]:
    """``stage`` of ``check`` as a class that other processes find at ``place`` in the module of the check."""
    method = [
        f"Each method gets {check.settings} settings of {check.steps} steps, each on {check.folds} folds. The best on "
        f"validation is run {check.reproductions} times with fresh seeds; each run opens the test part once.",
        f"The check stands in the module {check.module}; its run() runs it again.",
    ]
    members = {
        "check": check,
        "claim": Claim(name, sentence, PAPER, method, differs=DIFFERS),
        "scales": {SCALE: None},
        "compares": tuple(check.methods),
        "__module__": check.module,
        "__qualname__": place,
    }
    return type(stage.__name__, (stage,), members)


def choose(check: "RealityCheck[Any]", records: Sequence[Record]) -> dict[str, Chosen]:
    """The best setting of every method by its mean over folds; of equal ones the first.

    Raises:
        Diverged: all settings of a method did.
    """
    return {method: _best(check, method, [r for r in records if r.trial.arm == method]) for method in check.methods}


def _best(check: "RealityCheck[Any]", method: str, records: Sequence[Record]) -> Chosen:
    folds: dict[int, list[float]] = {}
    for record in records:
        folds.setdefault(record.trial.config["setting"], []).append(record.metrics["validation"])
    scores = [math.fsum(folds[k]) / len(folds[k]) for k in sorted(folds)]
    finite = [k for k, score in enumerate(scores) if math.isfinite(score)]
    if not finite:
        reason = next(record.diverged for record in records if record.diverged)
        raise Diverged(
            f"All {len(scores)} settings of '{method}' diverged, the first because {reason}. Mend its ranges."
        )
    best = max(finite, key=lambda k: scores[k])
    return Chosen(check.setting(method, best, records[0].trial.seed), scores)


def values_of(records: Sequence[Record], metric: str) -> dict[str, list[float]]:
    """The values of ``metric`` of each arm, in the order of the seeds, which pairs them."""
    by_arm: dict[str, list[float]] = {}
    for record in sorted(records, key=lambda record: record.trial.seed):
        by_arm.setdefault(record.trial.arm, []).append(record.metrics[metric])
    return by_arm


def concatenated(embeddings: Sequence[Tensor]) -> Tensor:
    """The embeddings of all fold models side by side, each brought to length 1, and so the whole."""
    return torch.cat([normalize(each, dim=1) for each in embeddings], dim=1) / math.sqrt(len(embeddings))


def scored(metric: Callable[[Tensor, Any], Any], embeddings: Tensor, part: object) -> float:
    """The metric as a number.

    Raises:
        TypeError: it is none.
    """
    score = metric(embeddings, part)
    try:
        return float(score)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"metric must give one number, but it gave {score!r}.") from error


def checked(embeddings: object, method: str) -> Tensor:
    """What ``embed`` gave, if it can be scored.

    Raises:
        TypeError, ValueError: it is no matrix in floating point.
        Diverged: it holds NaN or infinity.
    """
    if not isinstance(embeddings, Tensor) or not embeddings.is_floating_point():
        kind = embeddings.dtype if isinstance(embeddings, Tensor) else type(embeddings).__name__
        raise TypeError(f"embed() of '{method}' must give a tensor in floating point, but it gave {kind}.")
    if embeddings.ndim != 2 or 0 in embeddings.shape:
        raise ValueError(
            f"embed() of '{method}' must give a matrix (n, d), but its shape is {tuple(embeddings.shape)}."
        )
    if not embeddings.isfinite().all():
        raise Diverged(f"The embeddings of '{method}' are not finite")
    return embeddings.detach()
