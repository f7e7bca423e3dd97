"""Claims that take no time: one that holds, one whose trials fail, one that is interrupted."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch

from torchstone.lab import Check, Claim, Context, Estimate, Outcome, Paper, Record, Study, Trial, Verdict

PAPER = Paper("Euclid", -300, "Elements", None, "I.1")


class Holds(Study):
    claim = Claim("toy-holds", "One half is [bold]more[/bold] than a third.", PAPER, differs=["No sand."])
    scales: ClassVar = {"smoke": 1, "laptop": 3}

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial("half", seed) for seed in range(scale)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        context.progress(0.5, "halfway [1/2]")
        return Outcome({"half": 0.5})

    def judge(self, records: Sequence[Record]) -> Verdict:
        value = sum(record.metrics["half"] for record in records) / len(records)
        return Verdict.of(
            Check.report("infinite [x]", Estimate(float("nan"), float("-inf"), float("inf"))),
            Check.at_least("one half", Estimate(value, 0.45, 0.55), 1 / 3, zone=0.01, reported=0.5),
            sentence="It is.",
        )


class Fails(Holds):
    claim = Claim("toy-fails", "Nothing can go wrong.", PAPER)

    def run(self, trial: Trial, context: Context) -> Outcome:
        if trial.seed == 1:
            raise ArithmeticError("the sand ran out")
        return super().run(trial, context)


class Interrupted(Holds):
    claim = Claim("toy-interrupted", "Nobody will press Ctrl-C.", PAPER)

    def run(self, trial: Trial, context: Context) -> Outcome:
        if trial.seed == 2:
            raise KeyboardInterrupt
        return super().run(trial, context)


class Moody(Holds):
    """Its trials read a file, which no record tells."""

    claim = Claim("toy-moody", "Moods last.", PAPER)

    def run(self, trial: Trial, context: Context) -> Outcome:
        mood = float(Path("mood").read_text())
        return Outcome({"mood": mood, "half": 0.5}, {"x": torch.full((2,), mood)})
