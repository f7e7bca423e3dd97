"""A small finished run, made by hand: what the report and the browser are shown."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from torchstone.lab import (
    Check,
    Claim,
    Estimate,
    Figure,
    Outcome,
    Paper,
    Record,
    Status,
    Store,
    Study,
    Trial,
    Verdict,
    code_version,
    write_report,
)
from torchstone.lab.catalogue import Entry
from torchstone.lab.run import Run
from torchstone.lab.store import Key

collect_ignore = ["importable"]  # programs for processes of their own, which find one another there

CLAIM = Claim(
    name="corresponding-layers",
    sentence="Between networks that differ only in their initial weights, linear CKA matches each layer to its "
    "counterpart far more often than CCA, SVCCA, PWCCA or linear regression does.",
    paper=Paper(
        "Kornblith, Norouzi, Lee & Hinton",
        2019,
        "Similarity of Neural Network Representations Revisited",
        "1905.00414",
        "Table 2",
    ),
    method=(
        "We train five copies of one small convolutional network that differ in nothing but their initial weights, and "
        "look at what each of their layers says about the same 600 held-out pictures.",
        "For every layer of one network we ask each index of similarity which layer of another network is most like "
        "it. The index is right when it names the layer at the same depth.",
    ),
    reported={"CKA": 0.993, "linear regression": 0.454, "PWCCA": 0.111, "CCA mean ρ": 0.014},
    differs=("Glyphs instead of CIFAR-10.", "5 networks instead of 10, 1,800 steps instead of 100 epochs."),
)


def curve() -> str:
    from matplotlib.figure import Figure as Canvas

    from torchstone.pictures import svg

    canvas = Canvas(figsize=(6.4, 3.4))
    axes = canvas.add_subplot(xlabel="layer", ylabel="accuracy")
    axes.imshow([[i * j % 7 for i in range(9)] for j in range(9)], extent=(0, 4, 0, 1), aspect="auto", alpha=0.3)
    axes.plot([0, 1, 2, 3, 4], [0.2, 0.4, 0.75, 0.9, 0.98], label="linear CKA")
    axes.legend()
    return svg(canvas)


class Layers(Study):
    claim = CLAIM
    scales: ClassVar = {"smoke": 1, "laptop": 3}

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial("network", seed, {"width": 64}) for seed in range(scale)]

    def run(self, trial: Trial, context: object) -> Outcome:
        return Outcome({"accuracy": 0.9})

    def judge(self, records: Sequence[Record]) -> Verdict:
        return Verdict.of(
            Check.report("RBF CKA (0.4) finds the layer", Estimate(0.926, 0.9, 0.952), reported=0.993),
            Check.at_least("linear CKA finds the layer", Estimate(0.981, 0.958, 0.994), 0.9, zone=0.05, reported=0.993),
            Check.at_least("and beats the best rival by", Estimate(0.412, 0.33, 0.49), 0.25, zone=0.05, reported=0.539),
            Check.near("an untrained network stays at chance", Estimate(0.14, 0.1, 0.18), 0.111, within=0.1),
            Check.at_least("the logits too", Estimate(0.3, -0.2, 0.8), 0.5, zone=0.1, primary=False),
            sentence="Linear CKA names the right layer 98 % of the time, 41 points more often than the best rival.",
        )

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        return [
            Figure("Layer by layer", "The share of pairs in which CKA finds the counterpart.", curve()),
            Figure("The same, again", "Two pictures on one page do not disturb each other.", curve()),
        ]


def _run(study: Study, scale: str = "laptop", accuracy: float = 0.96, seed: int = 0) -> Run:
    trials = study.trials(study.scales[scale])
    records = [Record(trial, {"accuracy": accuracy, "loss": 0.12}, {}, 56.2) for trial in trials]
    verdict = None if scale == "smoke" else study.judge(records)
    environment = {"torchstone": "0.1.0", "torch": "2.13.0", "processor": "two cores of something", "jobs": "2"}
    return Run(study, scale, seed, records, verdict, 75.4, environment)


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """Make a finished run of ``study``: ``make_run(study, scale, accuracy, seed)``."""
    return _run


@pytest.fixture
def layers_study() -> Study:
    return Layers()


@pytest.fixture
def layers_run(layers_study: Study) -> Run:
    return _run(layers_study)


@pytest.fixture
def bits() -> Callable[[Sequence[Record]], list[object]]:
    """All of some records that must not depend on how a run went."""
    return lambda records: [
        (r.trial, {k: v.hex() for k, v in r.metrics.items()}, {k: v.numpy().tobytes() for k, v in r.artifacts.items()})
        for r in records
    ]


@pytest.fixture
def leftovers() -> Callable[[Path], set[str]]:
    """Every file below a folder except the store itself, tensors by the name that their hash gives them."""
    return lambda out: {str(path.relative_to(out)) for path in out.rglob("*") if "store.sqlite" not in path.name}


class Shelf:
    """Runs on record with their reports, and the catalogue of the claims that they belong to."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.store, self.entries = folder, Store(folder), list[Entry]()

    def put(
        self, name: str, family: str = "similarity", status: Status | None = Status.CONFIRMED, sentence: str = "So."
    ) -> Run | None:
        """Add a claim to the catalogue; with a status also a run that gave it."""
        study = copy(PLAIN)
        study.claim = replace(CLAIM, name=name, sentence=f"{sentence} This is {name}.")
        self.entries.append(Entry(study.claim, family, list(study.scales), code_version(study)))
        if status is None:
            return None
        run = _run(study)
        run = replace(run, verdict=replace(run.verdict, status=status, sentence=f"{name} is {status.value}."))
        self.judged(run)
        write_report(run, self.folder)
        return run

    def judged(self, run: Run) -> None:
        """Record what ``run`` says, and its trials."""
        name, version = run.study.claim.name, code_version(run.study)
        for record in run.records:
            key = Key.of(name, run.scale, record.trial, version, "cpu")
            environment = dict(run.environment)
            self.store.add(key, record.trial, record.metrics, None, seconds=record.seconds, environment=environment)
        if run.verdict:
            self.store.add_verdict(name, run.scale, run.seed, version, run.verdict)


class Plain(Layers):
    """The same with a picture that takes no time to draw."""

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        drawing = '<svg viewBox="0 0 64 32" width="640" height="320"><path d="M2 30 L62 2" stroke="#1a56a8"/></svg>'
        return [Figure("A line", f"It rises. {len(records)} networks.", drawing)]


PLAIN = Plain()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """An empty store with an empty catalogue: ``shelf.put(name, family, status)`` adds a claim and its run."""
    shelf = Shelf(tmp_path / "runs")
    monkeypatch.setattr("torchstone.lab.review.catalogue", lambda: shelf.entries)
    monkeypatch.setattr("torchstone.lab.review.discover", lambda: pytest.fail("no study has to be imported"))
    return shelf
