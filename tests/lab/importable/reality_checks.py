"""Small reality checks that worker processes can import: linear projections of Gaussian classes."""

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from torchstone.lab import Diverged
from torchstone.lab.reality_check import Parts, RealityCheck
from torchstone.lab.search import log

OUT = Path(os.environ.get("REALITY_CHECK_OUT", "unused"))
LOG = "trainings.log"


@dataclass(frozen=True)
class Gaussians:
    """x (n, d) with their classes (n,)."""

    x: Tensor
    labels: Tensor

    def of(self, classes: Sequence[int]) -> "Gaussians":
        inside = torch.isin(self.labels, torch.tensor(list(classes)))
        return Gaussians(self.x[inside], self.labels[inside])


def gaussians(classes: int = 12, each: int = 8) -> Gaussians:
    """Classes differ in the first two of six dimensions; the others hold noise, four times as large."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(classes, 2, generator=generator)
    labels = torch.arange(classes).repeat_interleave(each)
    noise = torch.randn(len(labels), 6, generator=generator) * torch.tensor([0.4] * 2 + [4.0] * 4)
    return Gaussians(torch.cat([centres, torch.zeros(classes, 4)], 1)[labels] + noise, labels)


def halves(data: Gaussians, folds: int) -> Parts[Gaussians]:
    """Classes 0 to 5 in folds, 6 to 11 for the test."""
    cuts = [range(6 * fold // folds, 6 * (fold + 1) // folds) for fold in range(folds)]
    training = [[k for k in range(6) if k not in cut] for cut in cuts]
    return Parts([(data.of(a), data.of(b)) for a, b in zip(training, cuts, strict=True)], data.of(range(6, 12)))


def nearest(embeddings: Tensor, data: Gaussians) -> Tensor:
    """Precision at 1."""
    distances = torch.cdist(embeddings, embeddings).fill_diagonal_(torch.inf)
    return (data.labels[distances.argmin(1)] == data.labels).double().mean()


@dataclass(frozen=True)
class Ridge:
    ridge: float = log(1e-3, 1e3)


class Whitened:
    """x (S_within + ridge)^(-1/2), of a bootstrap sample; every training leaves a line in a file."""

    def __init__(self, setting: Ridge, seed: int) -> None:
        self.ridge, self.seed = setting.ridge, seed

    def fit(self, data: Gaussians, *, steps: int) -> None:
        note(f"{type(self).__name__} {self.seed} {self.ridge:.3g} {steps} {sorted(set(data.labels.tolist()))}")
        rows = torch.randint(len(data.x), (len(data.x),), generator=torch.Generator().manual_seed(self.seed))
        x, y = data.x[rows], data.labels[rows]
        centred = torch.cat([x[y == k] - x[y == k].mean(0) for k in y.unique()])
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(x) + self.ridge * torch.eye(6))
        self.map = vectors * values.rsqrt()

    def embed(self, data: Gaussians) -> Tensor:
        return data.x @ self.map


class Twin(Whitened):
    """The same under another name."""


class Coloured(Whitened):
    """It shows the noise and hides the classes."""

    def fit(self, data: Gaussians, *, steps: int) -> None:
        super().fit(data, steps=steps)
        self.map = torch.diag(torch.tensor([0.01, 0.01, 1, 1, 1, 1]))


class Fragile(Whitened):
    """It diverges with a ridge below 100."""

    def fit(self, data: Gaussians, *, steps: int) -> None:
        super().fit(data, steps=steps)
        if self.ridge < 100:
            raise Diverged("The ridge is too small")


class Killed(Whitened):
    """Its process is killed once in the search and once in a reproduction."""

    def embed(self, data: Gaussians) -> Tensor:
        for seed in (1, 9):
            mark = OUT / f"killed-{seed}"
            if self.seed == seed and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(data)


class Raw:
    """A control: what it is given."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, data: Gaussians, *, steps: int) -> None:
        note(f"Raw {self.seed}")

    def embed(self, data: Gaussians) -> Tensor:
        return data.x


def note(line: str) -> None:
    """Count a training, where somebody counts."""
    if OUT.is_dir():
        with (OUT / LOG).open("a") as file:
            file.write(f"{line}\n")


METHODS: Mapping[str, Any] = {"whitened": (Whitened, Ridge), "coloured": (Coloured, Ridge)}


def make(methods: Mapping[str, Any] = METHODS, **changes: Any) -> RealityCheck[Gaussians]:
    """A check of a second or less."""
    usual: dict[str, Any] = {
        "metric": nearest,
        "zone": 0.1,
        "settings": 4,
        "steps": 7,
        "folds": 2,
        "reproductions": 4,
        "out": OUT,
    }
    return RealityCheck(methods, gaussians(), changes.pop("split", halves), **usual | changes)


def leaking(data: Gaussians, folds: int) -> Parts[Gaussians]:
    """The test part has the classes of fold 0."""
    parts = halves(data, folds)
    return replace(parts, test=parts.folds[0][0])


check = make()
killed = make({"whitened": (Whitened, Ridge), "killed": (Killed, Ridge)})
