"""A small real study with a fair search in it: how ``trials``, ``run`` and ``judge`` use ``torchstone.lab.search``."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from torchstone.data import Batches, digits
from torchstone.lab import (
    Check,
    Claim,
    Context,
    Outcome,
    Paper,
    Record,
    Sealed,
    Splits,
    Study,
    Trial,
    Verdict,
    mean_interval,
    paired_difference,
)
from torchstone.lab.search import Attempt, Budget, categorical, linear, log, tune, tuned_arms
from torchstone.training import Player, fit

Digits = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Sgd:
    lr: float = log(1e-2, 1e2)
    momentum: float = linear(0.0, 0.99)
    nesterov: bool = categorical(False, True)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        nesterov = self.nesterov and self.momentum > 0
        return torch.optim.SGD(model.parameters(), self.lr, momentum=self.momentum, nesterov=nesterov)


@dataclass(frozen=True)
class Adam:
    lr: float = log(1e-4, 1.0)
    beta: float = linear(0.8, 0.99)

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(model.parameters(), self.lr, betas=(self.beta, 0.999))


ARMS: Mapping[str, type[Sgd] | type[Adam]] = {"sgd": Sgd, "adam": Adam}


class AsGood(Study):
    claim = Claim(
        name="tuned-sgd-is-as-good",
        sentence="On a linear model of digits, tuned SGD is as good as Adam tuned with the same budget.",
        paper=Paper("Choi et al.", 2019, "On Empirical Comparisons of Optimizers", "1910.05446"),
    )
    scales: ClassVar[Mapping[str, Budget]] = {"smoke": Budget(2, 5, 2), "laptop": Budget(4, 40, 3)}

    def trials(self, scale: Budget) -> Sequence[Trial]:
        chance = [
            Trial("chance", seed, {"control": True, "preprocessing": "pixels / 255"}) for seed in range(scale.seeds)
        ]
        return [*tuned_arms(ARMS, scale, preprocessing="pixels / 255"), *chance]

    def run(self, trial: Trial, context: Context) -> Outcome:
        splits = split_digits(trial.seed, context.scratch / "looks")
        if trial.arm == "chance":
            _, y = splits.test.open("chance")
            return Outcome({"test accuracy": 1 / len(y.unique()), **splits.test.metrics})

        def objective(attempt: Attempt[Sgd | Adam, Digits]) -> float:
            self.interrupt(trial, context)
            return accuracy(trained(attempt), attempt.validation)

        found = tune(ARMS[trial.arm], objective, splits, trial, context)
        # The chosen setting learns once more, from all that it may see, and the test split is opened for it.
        steps = trial.config["search"]["steps"]
        seen = tuple(torch.cat(parts) for parts in zip(splits.train, splits.validation, strict=True))
        attempt = Attempt(0, found.best, seen, seen, steps, trial.seed, context.scratch / "final", context.progress)
        score = accuracy(trained(attempt), splits.test.open("the chosen setting"))
        self.interrupt(trial, context)
        return Outcome({"test accuracy": score, **splits.test.metrics, **found.metrics}, found.artifacts)

    def interrupt(self, trial: Trial, context: Context) -> None:
        """Somewhere to be killed."""

    def judge(self, records: Sequence[Record]) -> Verdict:
        by_arm = {arm: [r.metrics["test accuracy"] for r in records if r.trial.arm == arm] for arm in (*ARMS, "chance")}
        difference = paired_difference(by_arm["sgd"], by_arm["adam"])
        return Verdict.of(
            Check.near("SGD minus Adam", difference, 0.0, within=0.1),
            Check.at_least("SGD above chance", mean_interval(by_arm["sgd"]), 0.5, chance=0.1, zone=0.05),
            sentence=f"SGD is {100 * difference.value:+.1f} points above Adam.",
        )


class Killed(AsGood):
    """One trial is killed while it searches, one right after it has opened the test split; each once."""

    claim = Claim("killed-search", "A search survives.", Paper("Nobody", 2024, "Kills"))

    def interrupt(self, trial: Trial, context: Context) -> None:
        place = {("sgd", 0): "setting-2", ("adam", 1): "looks"}.get((trial.arm, trial.seed))
        killed = context.scratch / "killed"
        if place and (context.scratch / place).exists() and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def split_digits(seed: int, ledger: Path) -> Splits[Digits]:
    """Half to learn from, a quarter to select on, a quarter sealed."""
    pictures = digits()
    order = torch.randperm(len(pictures), generator=torch.Generator().manual_seed(seed))
    train, validation, test = ((pictures.floats()[i], pictures.labels[i]) for i in order.tensor_split([900, 1350]))
    return Splits(train, validation, Sealed(test, ledger))


def trained(attempt: Attempt[Sgd | Adam, Digits]) -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    for parameter in model.parameters():
        nn.init.zeros_(parameter)
    x, y = attempt.train
    batches = Batches(x, y, size=100, seed=attempt.seed)
    player = Player(model, lambda batch: cross_entropy(model(batch[0]), batch[1]), attempt.recipe.optimizer(model))
    fit(
        player,
        batches,
        steps=attempt.steps,
        seed=attempt.seed,
        checkpoint=attempt.scratch,
        every=attempt.steps,
        progress=attempt.progress,
    )
    return model


@torch.no_grad()
def accuracy(model: nn.Module, data: Digits) -> float:
    x, y = data
    return float((model(x).argmax(1) == y).double().mean())
