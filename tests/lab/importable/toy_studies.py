"""Studies for the tests of the runner: importable by worker processes, quick, and as wicked as need be."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch

from torchstone.lab import Check, Claim, Context, Estimate, Outcome, Paper, Record, Study, Trial, Unavailable, Verdict


def claim(name: str) -> Claim:
    return Claim(name, "Toys behave.", Paper("Nobody", 2024, "Toys"))


class Toy(Study):
    """Trials that count to five, a step a time, with their state in a file; the sum is a random number's."""

    claim = claim("toy")
    scales: ClassVar[Mapping[str, Any]] = {"smoke": 2, "laptop": 3, "paper": 16}

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial(("left", "right")[seed % 2], seed, {"width": [seed, 2]}) for seed in range(scale)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        generator = torch.Generator().manual_seed(trial.seed)
        state = context.scratch / "step"
        for step in range(int(state.read_text()) if state.exists() else 0, 5):
            self.step(trial, context, step)
            replace(state, str(step + 1))
        x = torch.randn(40, 30, generator=generator)
        metrics = {"sum": (x @ x.T).sum().item(), "loss": float("nan"), "threads": torch.get_num_threads()}
        return Outcome(metrics, {"x": x, "gram": x @ x.T, "half": x[:20]})

    def step(self, trial: Trial, context: Context, step: int) -> None:
        context.progress((step + 1) / 5, f"step {step + 1}/5")

    def judge(self, records: Sequence[Record]) -> Verdict:
        check = Check.at_least("finite", Estimate(float(len(records)), 1.0, float("inf")), 1, zone=0.1, reported=3.0)
        return Verdict.of(check, sentence="Toys behave.")


class Slow(Toy):
    """Each step takes a while."""

    claim = claim("slow-toy")

    def step(self, trial: Trial, context: Context, step: int) -> None:
        super().step(trial, context, step)
        time.sleep(0.004)


class Endless(Toy):
    """Trial 0 finishes; the others go on for ever."""

    claim = claim("endless-toy")

    def step(self, trial: Trial, context: Context, step: int) -> None:
        while trial.seed:
            context.progress(0.5, f"by process {os.getpid()}")
            time.sleep(0.01)


class Suicidal(Toy):
    """Trial 1 kills its process in step 3, once; trial 2 does so whenever it is run."""

    claim = claim("suicidal-toy")

    def step(self, trial: Trial, context: Context, step: int) -> None:
        killed = context.scratch / "killed"
        if (trial.seed == 1 and step == 3 and not killed.exists()) or (trial.seed == 2 and not mended(context)):
            killed.touch()
            print("last words", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)


class Widowed(Toy):
    """Trial 1 kills its process in step 3, once; a child that it has forked lives on."""

    claim = claim("widowed-toy")

    def step(self, trial: Trial, context: Context, step: int) -> None:
        killed = context.scratch / "killed"
        if trial.seed == 1 and step == 3 and not killed.exists():
            child = os.fork()
            if child == 0:
                time.sleep(600)
            killed.write_text(str(child))
            os.kill(os.getpid(), signal.SIGKILL)


class Failing(Toy):
    """Trial 1 raises, until somebody puts a file called ``mended`` beside the records."""

    claim = claim("failing-toy")

    def step(self, trial: Trial, context: Context, step: int) -> None:
        if trial.seed == 1 and not mended(context):
            raise ArithmeticError("the toy broke")


class Lacking(Toy):
    """Trial 1 lacks its data; at the scale ``paper`` all do."""

    claim = claim("lacking-toy")

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial("lonely", 1)] if scale == self.scales["paper"] else super().trials(scale)

    def step(self, trial: Trial, context: Context, step: int) -> None:
        if trial.seed == 1:
            raise Unavailable("The toy box is not here: buy one.")


class Careless(Toy):
    """Draws from the global generators."""

    claim = claim("careless-toy")

    def run(self, trial: Trial, context: Context) -> Outcome:
        import random

        import numpy as np

        return Outcome({"torch": torch.rand(1), "numpy": np.random.rand(), "random": random.random()})  # noqa: NPY002


class Together(Toy):
    """Trials of two processes that add up what they drew, step by step."""

    claim = claim("together-toy")
    scales: ClassVar[Mapping[str, Any]] = {"smoke": 1, "laptop": 2}
    processes = 2

    def run(self, trial: Trial, context: Context) -> Outcome:
        rank, total = torch.distributed.get_rank(), torch.zeros(6, dtype=torch.float64)
        generator = torch.Generator().manual_seed(100 * trial.seed + rank)
        for step in range(5):
            self.step(trial, context, step)
            drawn = torch.randn(6, generator=generator, dtype=torch.float64)
            torch.distributed.all_reduce(drawn)
            total += drawn
        metrics = {"sum": total.sum(), "rank": rank, "processes": torch.distributed.get_world_size()}
        return Outcome(metrics, {"total": total})


class Bereaved(Together):
    """Rank 1 kills itself in step 3, once."""

    claim = claim("bereaved-toy")

    def step(self, trial: Trial, context: Context, step: int) -> None:
        super().step(trial, context, step)
        killed = context.scratch / "killed"
        if torch.distributed.get_rank() == 1 and step == 3 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)


class Dissenting(Together):
    """Rank 1 raises while rank 0 waits for it."""

    claim = claim("dissenting-toy")

    def step(self, trial: Trial, context: Context, step: int) -> None:
        if torch.distributed.get_rank() == 1:
            raise ArithmeticError("rank 1 broke")


class EndlessTogether(Together):
    """Goes on for ever in both of its processes, and says which they are."""

    claim = claim("endless-together-toy")

    def step(self, trial: Trial, context: Context, step: int) -> None:
        processes = [None, None]
        torch.distributed.all_gather_object(processes, os.getpid())
        while True:
            context.progress(0.5, f"by processes {processes[0]} {processes[1]}")
            time.sleep(0.01)


def mended(context: Context) -> bool:
    return (context.scratch.parent.parent / "mended").exists()


def replace(target: Path, text: str) -> None:
    """Write atomically: what a trial keeps must survive a kill."""
    temporary = target.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(target)


class Watched(Toy):
    """Every step waits until it has been told, so that a trial can be killed in its midst."""

    claim = claim("watched-toy")
    scales: ClassVar[Mapping[str, Any]] = {"smoke": 2, "laptop": 2}

    def step(self, trial: Trial, context: Context, step: int) -> None:
        time.sleep(0.25)
        context.progress((step + 1) / 5, f"step {step + 1} by process {os.getpid()} of {os.getppid()}")
