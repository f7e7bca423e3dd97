"""How the networks of the two claims about memories learn sequences, and are examined."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from torchstone.lab import Context
from torchstone.programs.memory import Transducer
from torchstone.programs.memory.tasks import Score, SequenceBatch, score, sequence_loss
from torchstone.training import History, Player, RandomAccess, evaluating, fit


def objective(model: Transducer, device: torch.device) -> Callable[[SequenceBatch], Tensor]:
    """What a network minimises: the mean loss of the words that count in a batch."""

    def loss(batch: SequenceBatch) -> Tensor:
        batch = batch.to(device)
        return sequence_loss(model(batch.inputs), batch)

    return loss


def learn(player: Player, batches: RandomAccess, *, steps: int, seed: int, context: Context) -> History:
    """Train, with each number of a gradient cut off at 1; a training that was killed goes on from where it was."""
    player.optimizer.register_step_pre_hook(lambda *_: nn.utils.clip_grad_value_(player.model.parameters(), 1.0))
    return fit(player, batches, steps=steps, seed=seed, checkpoint=context.scratch, progress=context.progress)


def answered(model: Transducer, batch: SequenceBatch) -> Score:
    """Which sequences a network gets right, and how far it comes in the others."""
    batch = batch.to(next(model.parameters()).device)
    with torch.no_grad(), evaluating(model):
        return score(model(batch.inputs), batch)
