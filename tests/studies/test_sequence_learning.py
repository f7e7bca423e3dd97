"""How the claims about memories train and examine: the loss that counts, gradients cut off, nothing left behind."""

from pathlib import Path

import pytest
import torch
from torch import nn

from torchstone.lab import Context
from torchstone.nets.seeded import seeded
from torchstone.programs.memory import Transducer
from torchstone.programs.memory.tasks import Copy
from torchstone.studies.programs.sequence_learning import answered, learn, objective
from torchstone.training import Player

CPU = torch.device("cpu")
TASK = Copy(symbols=2, lengths=(1, 3), batch=6)


@pytest.fixture
def model() -> Transducer:
    with seeded(0):
        return Transducer(len(TASK.words), nn.LSTM(2, 4, batch_first=True))


def test_the_loss_is_the_mean_surprise_at_the_words_that_count(model: Transducer) -> None:
    batch = TASK.at(0)
    surprise = -model(batch.inputs).log_softmax(-1).gather(-1, batch.targets[..., None])[..., 0]
    expected = (surprise * batch.scored).sum() / batch.scored.sum()
    torch.testing.assert_close(objective(model, CPU)(batch), expected)


def test_each_number_of_a_gradient_is_cut_off_at_one(model: Transducer, tmp_path: Path) -> None:
    before = nn.utils.parameters_to_vector(model.parameters()).detach().clone()
    loss = objective(model, CPU)
    steep = Player(model, lambda batch: 1e6 * loss(batch), torch.optim.SGD(model.parameters(), lr=1.0))
    learn(steep, TASK, steps=1, seed=0, context=Context(CPU, tmp_path))
    moved = (nn.utils.parameters_to_vector(model.parameters()).detach() - before).abs()
    assert moved.max() == pytest.approx(1, abs=1e-5)


def test_an_exam_leaves_a_network_as_it_was(model: Transducer) -> None:
    found = answered(model, TASK.at(0))
    assert model.training
    assert not found.coarse.requires_grad
    assert found.coarse.shape == found.fine.shape == (6,)
