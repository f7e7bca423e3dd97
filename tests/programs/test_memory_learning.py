"""The whole of it: a network with the right memory learns in a few seconds what that memory is for."""

import pytest
import torch
from torch import nn

from torchstone.nets.seeded import seeded
from torchstone.programs.memory import Memory, MemoryRNN, NeuralQueue, NeuralStack, Transducer
from torchstone.programs.memory.tasks import Copy, Reversal, Score, Task, score, sequence_loss
from torchstone.training import Player, evaluating, fit

STEPS = 300


def learned(memory: Memory, task: type[Task]) -> Score:
    """Scores on fresh sequences of the lengths that were trained on."""
    batches = task(symbols=4, lengths=(1, 6), batch=32)  # type: ignore[call-arg]
    with seeded(0):
        cell = nn.LSTMCell(16 + memory.width, 32)
    model = Transducer(len(batches.words), MemoryRNN(cell, memory, batch_first=True))
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=STEPS)
    player = Player(model, lambda b: sequence_loss(model(b.inputs), b), optimizer, scheduler=schedule)
    fit(player, batches, steps=STEPS)
    fresh = task(symbols=4, lengths=(1, 6), batch=256, seed=1).at(0)  # type: ignore[call-arg]
    with torch.no_grad(), evaluating(model):
        return score(model(fresh.inputs), fresh)


@pytest.mark.parametrize(("memory", "task"), [(NeuralStack(16), Reversal), (NeuralQueue(16), Copy)])
def test_a_stack_learns_to_reverse_and_a_queue_to_copy(memory: Memory, task: type[Task]) -> None:
    assert learned(memory, task).coarse.mean() > 0.8
