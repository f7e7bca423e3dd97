"""A study that trains a small network, with all that might differ between two processes: threads, hashes, dropout."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import nn
from toy_studies import claim

from torchstone.lab import Context, Outcome, Record, Study, Trial, Verdict
from torchstone.training import Player, fit


class Training(Study):
    claim = claim("training-toy")
    scales: ClassVar[Mapping[str, Any]] = {"smoke": 1, "laptop": 1}

    def trials(self, scale: int) -> Sequence[Trial]:
        return [Trial("network", 0)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        generator = torch.Generator().manual_seed(trial.seed)
        model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Dropout(0.3), nn.Flatten(), nn.Linear(8 * 14 * 14, 10))
        x, y = torch.randn(64, 1, 16, 16, generator=generator), torch.randint(10, (64,), generator=generator)
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
        player = Player(model, lambda batch: nn.functional.cross_entropy(model(batch[0]), batch[1]), optimizer)
        history = fit(player, [(x, y)], steps=20, checkpoint=context.scratch, every=10)
        names = sorted({"a", "b", "c"}, key=hash)  # another order in every process
        weights = {name: parameter.detach() for name, parameter in model.named_parameters()}
        return Outcome({"loss": history.metrics["player/loss"][-1], **dict.fromkeys(names, 1.0)}, weights)

    def judge(self, records: Sequence[Record]) -> Verdict:
        raise AssertionError("not at the scale smoke")
