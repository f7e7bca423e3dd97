"""What the laboratory itself costs: per trial, to list, to load many records, to write the review."""

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import torch
from torch.nn.functional import cross_entropy

from torchstone.data import Batches
from torchstone.lab import (
    Check,
    Claim,
    Context,
    Figure,
    Outcome,
    Paper,
    Record,
    Store,
    Study,
    Trial,
    Verdict,
    code_version,
    mean_interval,
    run_study,
    write_report,
)
from torchstone.lab.catalogue import Entry
from torchstone.lab.review import write_review
from torchstone.lab.store import Key
from torchstone.training import Player, fit, loop

STEPS, ROUNDS, RECORDS, CLAIMS = 800, 3, 10_000, 100


class Training(Study):
    """Trials of some seconds: a small network, its checkpoints, its progress and its activations."""

    claim = Claim("bench-training", "Training takes time.", Paper("Nobody", 2024, "Benchmarks"))
    scales: ClassVar[Mapping[str, Any]] = {"laptop": 1}

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial("network", seed) for seed in range(scale)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        activations = train(trial.seed, checkpoint=context.scratch, progress=context.progress)
        return Outcome({"mean": float(activations.mean())}, {"activations": activations})

    def judge(self, records: Sequence[Record]) -> Verdict:
        values = mean_interval([record.metrics["mean"] for record in records])
        return Verdict.of(Check.near("mean", values, 0.0, within=1.0), sentence="It is near.")

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        from matplotlib.figure import Figure as Canvas

        from torchstone.pictures import svg

        canvas = Canvas(figsize=(6, 3))
        canvas.add_subplot().scatter(range(300), [i * i % 97 for i in range(300)])
        return [Figure("Points", "Three hundred of them.", svg(canvas))]


class Many(Training):
    claim = replace(Training.claim, name="bench-many")
    scales: ClassVar[Mapping[str, Any]] = {"laptop": RECORDS}

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial(f"arm-{i // 1000}", i % 1000, {"width": i % 7, "rate": 0.1 * (i % 3)}) for i in range(scale)]


def train(seed: int, **options: Any) -> torch.Tensor:
    """Activations of a network after a fit with ``options``."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2000, 256, generator=generator), torch.randint(10, (2000,), generator=generator)
    network = torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 10))
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
    player = Player(network, lambda batch: cross_entropy(network(batch[0]), batch[1]), optimizer)
    fit(player, Batches(x, y, size=500, seed=seed), steps=STEPS, seed=seed, **options)
    return network[:2](x).detach()


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def child_seconds(words: Sequence[str], environment: Mapping[str, str]) -> float:
    """The CPU-seconds of a command."""
    before = os.times()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def bench_trial(folder: Path) -> None:
    """The share of a run that is not its trial's, or that goes into its checkpoints, all taken in that run."""
    shares = []
    for k in range(ROUNDS):
        saving = Stopwatch(loop.save_checkpoint)
        whole = Stopwatch(run_study)
        with mock.patch.object(loop, "save_checkpoint", saving):
            trial = Stopwatch(train)
            with mock.patch.dict(globals(), train=trial):
                whole(Training(), out=folder / f"trial-{k}", jobs=0)
        shares.append([1 - (trial.spent[i] - saving.spent[i]) / whole.spent[i] for i in range(2)])
    wall, cpu = (100 * statistics.median(each) for each in zip(*shares, strict=True))
    print(
        f"a trial of {trial.spent[1]:.1f} CPU-seconds with ten checkpoints: the laboratory takes {cpu:.1f} % of the "
        f"CPU time, {wall:.1f} % of the wall clock (aim < 5 %)"
    )


class Stopwatch:
    """A function that adds up the wall-clock and the CPU-seconds that are spent in it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.spent = function, [0.0, 0.0]

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        started = time.perf_counter(), time.process_time()
        try:
            return self.function(*arguments, **options)
        finally:
            self.spent[0] += time.perf_counter() - started[0]
            self.spent[1] += time.process_time() - started[1]


def bench_list(folder: Path) -> None:
    command = [sys.executable, "-c", "from torchstone.cli.main import main; main(['list'])"]
    first, *others = (child_seconds(command, {"TORCHSTONE_CACHE": str(folder / "cache")}) for _ in range(4))
    print(f"torchstone list: {min(others):.2f} CPU-seconds (aim < 1); {first:.2f} after a change of the sources")


def bench_records(folder: Path) -> None:
    study, store = Many(), Store(folder / "many")
    version = code_version(study)
    connection = sqlite3.connect(store.file)  # one for all: ten thousand commits take their time
    with closing(connection), connection, mock.patch.object(store, "_connection", return_value=nullcontext(connection)):
        for trial in study.trials(RECORDS):
            key = Key.of(study.claim.name, "laptop", trial, version, "cpu")
            store.add(key, trial, {"mean": 0.1, "loss": 0.2}, None, seconds=1.0, environment={})
    load = seconds(lambda: study.judge(list(store.records(study.claim.name, "laptop").values())))
    again = seconds(lambda: run_study(study, out=folder / "many", jobs=0))
    print(f"{RECORDS} records: {load:.2f} s to load and judge (aim < 2); {again:.2f} s to run again with all on record")


def bench_review(folder: Path) -> None:
    base, entries = run_study(Training(), out=folder / "review", jobs=0), []
    for i in range(CLAIMS):
        study = copy(base.study)
        study.claim = replace(base.study.claim, name=f"claim-{i:03d}", sentence=f"Claim {i} holds.")
        Store(folder / "review").add_verdict(study.claim.name, "laptop", 0, "", base.verdict)
        write_report(replace(base, study=study), folder / "review")
        entries.append(Entry(study.claim, f"family {i % 9}", ["laptop"], code_version(study)))
    with mock.patch("torchstone.lab.review.catalogue", return_value=entries):
        first = seconds(lambda: write_review(folder / "review", folder / "site"))
        again = seconds(lambda: write_review(folder / "review", folder / "site"))
    print(f"the review of {CLAIMS} claims: {first:.2f} s (aim < 5); {again:.2f} s when nothing has changed")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for bench in (bench_trial, bench_list, bench_records, bench_review):
            bench(Path(name))
