"""Studies of which some trials diverge: importable by worker processes."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from torchstone.lab import Check, Claim, Context, Diverged, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import paired_difference, power, worst_for_diverged
from torchstone.training import NonFiniteLossError, Player, fit


def values(records: Sequence[Record], arm: str) -> list[float]:
    return [record.metrics["accuracy"] for record in records if record.trial.arm == arm]


class Careless(Study):
    """Ours beats theirs by 0.2; seed 1 of theirs raises, seed 2 of ours ends with a loss of infinity."""

    claim = Claim("careless-comparison", "Ours is better.", Paper("Nobody", 2024, "Toys"), ["We compare."])
    scales: ClassVar[Mapping[str, Any]] = {"smoke": 2, "laptop": 6, "paper": 1}

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial(arm, seed) for arm in ("ours", "theirs") for seed in range(scale)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        if (trial.arm, trial.seed) == ("theirs", 1):
            raise NonFiniteLossError("model", 7, float("inf"), None, context.scratch)
        accuracy = 0.7 + 0.01 * trial.seed + 0.2 * (trial.arm == "ours")
        if (trial.arm, trial.seed) == ("ours", 2):
            return Outcome({"accuracy": float("nan"), "loss": float("inf")}, {"weights": torch.ones(2)})
        return Outcome({"accuracy": accuracy}, {"weights": torch.ones(2)})

    def judge(self, records: Sequence[Record]) -> Verdict:
        return self.compare({arm: values(records, arm) for arm in ("ours", "theirs")})

    def compare(self, arms: Mapping[str, Sequence[float]]) -> Verdict:
        gain = paired_difference(arms["ours"], arms["theirs"])
        return Verdict.of(Check.at_least("gain", gain, 0.02, zone=0.01), sentence=f"{gain.value:.2f} better.")

    def power(self, scale: int) -> Mapping[str, float]:
        return {"gain": power(0.1, 0.05, scale, threshold=0.02)}


class Exploding(Careless):
    """Every trial fits twice; the second fit meets an infinite loss in step 2, except that of seed 0."""

    claim = Claim("exploding", "It will hold.", Paper("Nobody", 2024, "Toys"))

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial("ours", seed) for seed in range(scale + 2)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        for name, worst in (("first", 1.0), ("second", float("inf") if trial.seed else 1.0)):
            weight = nn.ParameterDict({"w": torch.tensor(float(trial.seed))})
            player = Player(weight, lambda batch, w=weight: w["w"] * batch, torch.optim.SGD(weight.parameters(), 0.5))
            batches = [torch.tensor(each) for each in (1.0, 1.0, worst)]
            fit(player, batches, steps=3, checkpoint=context.scratch / name)
        return Outcome({"accuracy": 1.0})

    def judge(self, records: Sequence[Record]) -> Verdict:
        return self.compare({arm: [record.metrics["accuracy"] for record in records] for arm in ("ours", "theirs")})


class Apart(Careless):
    """Of each distributed trial, rank 1 diverges while rank 0 waits for it."""

    claim = Claim("apart", "Ranks stay together.", Paper("Nobody", 2024, "Toys"))
    processes = 2

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial("ours", 0)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        if torch.distributed.get_rank() == 1:
            raise Diverged("Rank 1 went astray")
        torch.distributed.all_reduce(torch.ones(1))
        return Outcome({"accuracy": 1.0})


class Careful(Careless):
    """The same with a stated rule: what diverged counts as the accuracy of chance."""

    claim = Claim("careful-comparison", "Ours is better.", Paper("Nobody", 2024, "Toys"))

    def judge(self, records: Sequence[Record]) -> Verdict:
        arms = {arm: values(records, arm) for arm in ("ours", "theirs")}
        return self.compare(worst_for_diverged(arms, worst=0.1))


class Curious(Careless):
    """Its rule and its pictures ask for tensors that diverged trials do not have."""

    claim = Claim("curious-comparison", "Ours is better.", Paper("Nobody", 2024, "Toys"))

    def judge(self, records: Sequence[Record]) -> Verdict:
        worth = sum(record.artifacts["weights"].sum().item() for record in records)
        raise AssertionError(f"it must not come to this: {worth}")

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        return [Figure(str(record.artifacts["weights"]), "", "<svg/>") for record in records]
