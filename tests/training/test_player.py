import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchstone.training import Player

X = torch.linspace(-1, 1, 12).reshape(4, 3)


def linear() -> nn.Linear:
    model = nn.Linear(3, 2)
    with torch.no_grad():
        model.weight.copy_(torch.arange(6.0).reshape(2, 3))
        model.bias.fill_(0.5)
    return model


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> nn.Linear:
    monkeypatch.setattr(nn.Linear, "reset_parameters", lambda self: None)  # it would draw from the global generator
    return linear()


def player(model: nn.Module, objective: Callable[[Tensor], Any] | None = None, **options: Any) -> Player:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    return Player(model, objective or (lambda x: model(x).square().mean()), optimizer, **options)


def test_a_move_is_a_step_along_the_gradient(model: nn.Linear):
    one = player(model)
    before = model.bias.detach().clone()
    gradient = torch.autograd.grad(model(X).square().mean(), model.bias)[0]
    one.move(one.evaluate(X)["loss"])
    assert torch.equal(model.bias.detach(), before - 0.25 * gradient)


def test_other_scalars_are_recorded_as_tensors(model: nn.Linear):
    metrics = player(model, lambda x: {"loss": model(x).mean(), "accuracy": 0.5, "count": 3}).evaluate(X)
    assert {name: float(value) for name, value in metrics.items() if name != "loss"} == {"accuracy": 0.5, "count": 3.0}


def test_the_average_follows_its_recurrence(model: nn.Linear):
    one = player(model, ema=0.75)
    one.start()
    expected = model.bias.detach().double()
    for _ in range(5):
        one.move(one.evaluate(X)["loss"])
        expected = 0.75 * expected + 0.25 * model.bias.detach().double()
    averaged = one.averaged()
    torch.testing.assert_close(averaged.get_parameter("bias").detach().double(), expected, rtol=1e-6, atol=1e-7)
    assert not torch.equal(averaged.get_parameter("bias"), model.bias)


def test_the_scheduler_steps_after_each_update(model: nn.Linear):
    one = player(model)
    one.scheduler = torch.optim.lr_scheduler.ExponentialLR(one.optimizer, gamma=0.5)
    for _ in range(3):
        one.move(one.evaluate(X)["loss"])
    assert one.optimizer.param_groups[0]["lr"] == 0.25 * 0.5**3


def test_gradients_reach_only_the_optimizers_own_parameters(model: nn.Linear):
    other = linear()
    one = player(model, lambda x: (model(x) - other(x + 1)).square().mean())
    one.move(one.evaluate(X)["loss"])
    assert model.weight.grad is not None
    assert other.weight.grad is None


def test_frozen_parameters_stay(model: nn.Linear):
    one = player(model)
    model.bias.requires_grad_(False)
    one.move(one.evaluate(X)["loss"])
    assert torch.equal(model.bias, torch.full((2,), 0.5))


def test_without_an_average_there_is_no_averaged_model(model: nn.Linear):
    with pytest.raises(ValueError, match=r"has no average. Give it ema"):
        player(model).averaged()


@pytest.mark.parametrize("options", [{"turns": 0}, {"ema": 1.0}, {"ema": -0.1}, {"ema": math.nan}])
def test_options_out_of_range_are_refused(model: nn.Linear, options: dict[str, Any]):
    with pytest.raises(ValueError, match=f"{next(iter(options))} of player 'player' must"):
        player(model, **options)


def test_a_plateau_scheduler_is_refused(model: nn.Linear):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(ValueError, match="needs a metric"):
        Player(model, model, optimizer, scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer))


def test_an_optimizer_of_another_model_is_refused(model: nn.Linear):
    with pytest.raises(ValueError, match="not in its model"):
        Player(model, model, torch.optim.SGD(linear().parameters(), lr=0.1))


@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        (None, TypeError, "returned a NoneType"),
        (1.5, TypeError, "returned a float"),
        ({"cost": torch.tensor(1.0)}, TypeError, "with 'cost' in it"),
        ({"loss": 1.0}, TypeError, "scalar tensor, or a dict"),
        (torch.ones(4, requires_grad=True), ValueError, r"'loss' with shape \(4,\)"),
        ({"loss": torch.tensor(1.0, requires_grad=True), "margin": torch.ones(2)}, ValueError, "'margin' with shape"),
        (torch.tensor(1j, requires_grad=True), ValueError, r"'loss' with shape \(\) and type torch.complex64"),
        (
            {"loss": torch.tensor(1.0, requires_grad=True), "mood": "good"},
            TypeError,
            "'mood' of type str, but each entry",
        ),
        ({"loss": torch.tensor(1.0, requires_grad=True), "gap": None}, TypeError, "'gap' of type NoneType, but each"),
        (torch.tensor(1.0), ValueError, "has no gradient"),
        (torch.tensor(1), ValueError, "has no gradient"),
    ],
)
def test_objectives_that_return_something_else_are_refused(
    model: nn.Linear, value: Any, error: type[Exception], words: str
):
    with pytest.raises(error, match=words):
        player(model, lambda x: value).evaluate(X)


def test_a_loss_of_other_parameters_is_refused(model: nn.Linear):
    other = linear()
    one = player(model, lambda x: other(x).mean())
    with pytest.raises(ValueError, match="does not depend on any parameter of its optimizer"):
        one.move(one.evaluate(X)["loss"])


def test_a_wholly_frozen_player_is_refused(model: nn.Linear):
    other = linear()
    one = player(model, lambda x: (model(x) + other(x)).mean())
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="does not depend on any parameter of its optimizer"):
        one.move(one.evaluate(X)["loss"])
