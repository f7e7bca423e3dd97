"""``fit`` looks at the first loss: it refuses what cannot learn, in words, and changes no bit of what can."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchstone.nets import seeded
from torchstone.smoothness import NotDifferentiableError, Order, Report
from torchstone.training import Player, fit
from torchstone.training import loop as training_loop
from torchstone.training.first_loss import in_sight, unreached

X = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.cell = nn.Embedding(3, 4), nn.LSTM(4, 5, num_layers=2, dropout=0.5, batch_first=True)
        self.attend, self.out = nn.MultiheadAttention(5, 1, dropout=0.1, batch_first=True), nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.cell(self.embed((x > 0).long() + (x > 1).long()))
        return self.out(self.attend(h, h, h)[0])


NETS: dict[str, Callable[[], nn.Module]] = {
    "batch norm and dropout": lambda: nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(8, 1)
    ),
    "convolutions": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 4, 3), nn.GroupNorm(2, 4), nn.GELU(), nn.MaxPool1d(2), nn.Dropout1d(0.3)
    ),
    "recurrent, with attention": Recurrent,
    "transformer": lambda: nn.Sequential(
        nn.Unflatten(1, (3, 2)), nn.TransformerEncoderLayer(2, 1, 8, dropout=0.2, batch_first=True)
    ),
}


def trained(build: Callable[[], nn.Module], check: bool, folder: Path | None = None, steps: int = 3) -> list[Tensor]:
    """All that a training leaves: weights, buffers, history, and where its own generator and noise stand."""
    with seeded(0):
        net = build()
    generator = torch.Generator().manual_seed(5)

    def objective(x: Tensor) -> dict[str, Tensor]:
        noise = 0.1 * torch.randn(x.shape, generator=generator)
        value = net(x + noise)
        return {"loss": value.square().mean(), "largest": value.detach().abs().max()}

    player = Player(net, objective, torch.optim.Adam(net.parameters(), 0.01))
    generators = {"noise": generator}
    history = fit(player, [X, -X, X + 1], steps=steps, check=check, checkpoint=folder, generators=generators)
    return [*net.state_dict().values(), *history.metrics.values(), generator.get_state()]


@pytest.mark.parametrize("name", NETS)
def test_the_check_changes_no_bit(name: str) -> None:
    with_it, without = trained(NETS[name], check=True), trained(NETS[name], check=False)
    assert all(torch.equal(a, b) for a, b in zip(with_it, without, strict=True))


def one_layer(objective: Callable[[nn.Linear, Tensor], Tensor]) -> tuple[Player, nn.Linear]:
    with seeded(0):
        net = nn.Linear(6, 3)
    return Player(net, lambda x: objective(net, x), torch.optim.SGD(net.parameters(), 0.1)), net


BLOCKED: dict[str, tuple[Callable[[nn.Linear, Tensor], Tensor], str]] = {
    "detach": (lambda net, x: net(x).detach().mean(), r"GRAD-CUT.*'detach'"),
    "partial": (lambda net, x: (x @ net.weight.data.T + net.bias).mean(), r"1 of its 2 parameters[\s\S]*'weight'"),
    "argmax": (lambda net, x: net(x).argmax(1).float().mean(), r"GRAD-ZERO.*'argmax'"),
    "round": (lambda net, x: net(x).round().mean(), r"GRAD-ZERO.*'round'"),
    "item": (lambda net, x: net.bias.sum() * net.weight.sum().item(), r"GRAD-CUT.*'weight'.*'item'"),
    "unused": (lambda net, x: net.weight.sum(), r"idle experts.*check=False[\s\S]*UNUSED.*'bias'"),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_what_cannot_learn_is_refused_before_it_moves(name: str, tmp_path: Path) -> None:
    objective, message = BLOCKED[name]
    player, net = one_layer(objective)
    before = net.weight.detach().clone()
    with pytest.raises(NotDifferentiableError, match=message) as error:
        fit(player, [X], steps=2, checkpoint=tmp_path)
    assert "Player 'player' cannot learn as it stands" in str(error.value)
    assert torch.equal(net.weight, before)
    assert net.weight.grad is None
    assert not list(tmp_path.iterdir())


def test_the_line_is_named() -> None:
    player, _ = one_layer(lambda net, x: net(x).detach().mean())  # the culprit
    with pytest.raises(NotDifferentiableError, match=r"test_first_loss.py:\d+[\s\S]*# the culprit") as error:
        fit(player, [X], steps=1)
    assert error.value.report.live == ()


@pytest.mark.parametrize("name", ["partial", "item", "unused"])
def test_a_word_switches_it_off(name: str) -> None:
    player, net = one_layer(BLOCKED[name][0])
    before = torch.cat([p.detach().flatten() for p in net.parameters()])
    fit(player, [X], steps=1, check=False)
    assert not torch.equal(torch.cat([p.detach().flatten() for p in net.parameters()]), before)


def zero_last_layer() -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    net = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1))
    nn.init.zeros_(net[2].weight)  # type: ignore[arg-type]
    return net, lambda x: (net(x) - 1).square().mean()


def dead_relu() -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    net = nn.Linear(6, 4)
    nn.init.constant_(net.bias, -100)
    return net, lambda x: net(x).relu().mean()


def frozen_layer() -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    net = nn.Sequential(nn.Linear(6, 4), nn.Linear(4, 1))
    net[0].requires_grad_(False)
    return net, lambda x: net(x).square().mean()


@pytest.mark.parametrize("build", [zero_last_layer, dead_relu, frozen_layer])
def test_a_gradient_that_happens_to_be_zero_is_no_reason(build: Any) -> None:
    with seeded(0):
        net, objective = build()
    fit(Player(net, objective, torch.optim.SGD(net.parameters(), 0.1)), [X], steps=1)


def test_autograd_has_the_last_word() -> None:
    w, v = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    player, _ = one_layer(lambda net, x: net(x).detach().mean())
    with pytest.raises(NotDifferentiableError) as error:
        fit(player, [X], steps=1)
    wrong = error.value.report.blocked["weight"]
    report = Report(order=Order(0), shape_class="general", lipschitz=1.0, blocked={"w": wrong, "v": wrong})
    assert unreached((w * v.detach()).sum(), {"w": w, "v": v}, report) == ["v"]


def test_objectives_run_once_a_step() -> None:
    seen = []

    def objective(net: nn.Linear, x: Tensor) -> Tensor:
        seen.append(len(x))
        return net(x).square().mean()

    fit(one_layer(objective)[0], [X], steps=2)
    assert seen == [8, 8]


def test_each_player_is_looked_at_once_and_for_its_own_parameters() -> None:
    with seeded(0):
        maker, judge = nn.Linear(6, 6), nn.Linear(6, 1)
    players = [
        Player(
            judge, lambda x: judge(maker(x).detach()).mean(), torch.optim.SGD(judge.parameters(), 0.1), name="judge"
        ),
        Player(
            maker, lambda x: judge(maker(x)).mean(), torch.optim.SGD(maker.parameters(), 0.1), turns=2, name="maker"
        ),
    ]
    fit(players, [X, -X], steps=2)
    players[1].objective = lambda x: judge(maker(x).detach()).mean()
    with pytest.raises(NotDifferentiableError, match="Player 'maker' cannot learn"):
        fit(players, [X, -X], steps=2)


def test_a_resume_needs_no_second_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = NETS["batch norm and dropout"]
    whole = trained(build, check=True, steps=4)
    trained(build, check=True, folder=tmp_path, steps=2)
    monkeypatch.setattr(training_loop, "first_loss", lambda *_: pytest.fail("looked again"))
    resumed = trained(build, check=True, folder=tmp_path, steps=4)
    assert all(torch.equal(a, b) for a, b in zip(whole, resumed, strict=True))


def test_compiled_code_is_out_of_sight() -> None:
    with seeded(0):
        net = nn.Linear(2, 2)
    assert in_sight(net)
    assert not in_sight(nn.Sequential(torch.compile(net, backend="eager")))
