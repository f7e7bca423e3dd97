"""A fit that was stopped and resumed equals one that never stopped, bit for bit."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from torchstone.training import History, Player, Round, fit, load_checkpoint
from torchstone.training.nested import flatten

STEPS = 13
X = torch.randn(22, 3, generator=torch.Generator().manual_seed(1))  # 6 batches of 4 an epoch, the last of 2
Optimizers = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class StoppedError(Exception):
    pass


class Rows:
    def at(self, step: int) -> tuple[Tensor]:
        return (X[torch.arange(4 * step, 4 * step + 4) % len(X)],)


def loader() -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(X), batch_size=4, shuffle=True)


def own_loader() -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(TensorDataset(X), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(3))


def network() -> nn.Sequential:
    model = nn.Sequential(
        nn.utils.skip_init(nn.Linear, 3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.utils.skip_init(nn.Linear, 8, 2)
    )
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=0.05, amsgrad=True)


def nesterov(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True, weight_decay=5e-4)


class Game:
    """Two players, one of them with two turns, dropout, noise of its own, a scheduler and an average."""

    def __init__(self, optimizer: Optimizers = adam) -> None:
        self.noise = torch.Generator().manual_seed(4)
        first, second = network(), network()
        one, two = optimizer(first.parameters()), nesterov(second.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(one, max_lr=0.1, total_steps=2 * STEPS)
        milestones = torch.optim.lr_scheduler.MultiStepLR(two, [2, 9], gamma=0.5)

        def distance(batch: tuple[Tensor]) -> dict[str, Tensor]:
            noise = torch.randn(2, generator=self.noise)
            loss = (first(batch[0]) - second(batch[0]) + noise).square().mean()
            return {"loss": loss, "noise": noise[0]}

        self.players = [
            Player(first, distance, one, turns=2, scheduler=schedule, ema=0.9, name="first"),
            Player(second, lambda batch: -distance(batch)["loss"].tanh(), two, scheduler=milestones, name="second"),
        ]

    def fit(self, batches: Any, **options: Any) -> History:
        return fit(self.players, batches, steps=STEPS, generators={"noise": self.noise}, **options)

    def bits(self, history: History) -> tuple[dict[str, bytes], str]:
        """Everything that the fit made, as bytes."""
        everything = {player.name: player.state_dict() for player in self.players}
        state = [everything, dict(history.metrics), self.noise.get_state()]
        tensors, document = flatten(state)
        return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, json.dumps(document)


def stop_at(step: int) -> Callable[[Round], None]:
    def stop(seen: Round) -> None:
        if seen.step == step:
            raise StoppedError

    return stop


@pytest.mark.parametrize("batches", [Rows, loader, own_loader])
@pytest.mark.parametrize("cuts", [[1], [4], [5, 6, 12], [STEPS]])
def test_bit_identical_after_any_cut(tmp_path: Path, batches: Callable[[], Any], cuts: list[int]):
    straight = Game()
    expected = straight.bits(straight.fit(batches()))
    for cut in cuts:
        with pytest.raises(StoppedError):
            Game().fit(batches(), checkpoint=tmp_path, every=2, callbacks=[stop_at(cut)])
    resumed = Game()
    assert resumed.bits(resumed.fit(batches(), checkpoint=tmp_path, every=2)) == expected


@pytest.mark.parametrize(
    "optimizer",
    [
        nesterov,
        torch.optim.Adam,
        torch.optim.RMSprop,
        torch.optim.Adagrad,
        torch.optim.Adadelta,
        torch.optim.NAdam,
        torch.optim.RAdam,
        torch.optim.Adamax,
    ],
)
def test_bit_identical_for_the_optimizers_of_torch(tmp_path: Path, optimizer: Optimizers):
    model, again, stopped = network(), network(), network()

    def player(model: nn.Module) -> Player:
        return Player(model, lambda batch: model(batch[0]).square().mean(), optimizer(model.parameters()))

    expected = fit(player(model), Rows(), steps=8)
    with pytest.raises(StoppedError):
        fit(player(stopped), Rows(), steps=8, checkpoint=tmp_path, every=5, callbacks=[stop_at(6)])
    history = fit(player(again), Rows(), steps=8, checkpoint=tmp_path)
    assert torch.equal(history.metrics["player/loss"], expected.metrics["player/loss"])
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_a_finished_fit_comes_back_without_a_step(tmp_path: Path):
    first = Game()
    expected = first.bits(first.fit(Rows(), checkpoint=tmp_path))
    again = Game()
    assert again.bits(again.fit(Rows(), checkpoint=str(tmp_path), callbacks=[stop_at(STEPS)])) == expected


def test_a_longer_fit_goes_on_from_a_finished_one(tmp_path: Path):
    straight, short, long = (Game() for _ in range(3))
    expected = straight.bits(straight.fit(Rows()))
    options: dict[str, Any] = {"generators": {"noise": short.noise}, "checkpoint": tmp_path}
    fit(short.players, Rows(), steps=5, **options)
    assert long.bits(long.fit(Rows(), checkpoint=tmp_path)) == expected


def test_a_damaged_checkpoint_costs_steps_and_nothing_else(tmp_path: Path):
    straight = Game()
    expected = straight.bits(straight.fit(Rows()))
    with pytest.raises(StoppedError):
        Game().fit(Rows(), checkpoint=tmp_path, every=2, callbacks=[stop_at(9)])
    file = tmp_path / "step-00000008" / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    resumed = Game()
    with pytest.warns(UserWarning, match=r"step-00000008/tensors\.safetensors is damaged"):
        history = resumed.fit(Rows(), checkpoint=tmp_path, every=2)
    assert resumed.bits(history) == expected


def test_checkpoints_come_when_asked_and_at_the_end(tmp_path: Path):
    Game().fit(Rows(), checkpoint=tmp_path, every=5, keep=9)
    assert sorted(int(path.name[5:]) for path in tmp_path.iterdir()) == [5, 10, 13]


def test_orphans_of_a_killed_fit_are_cleared(tmp_path: Path):
    (tmp_path / ".step-00000001.1.0.tmp").mkdir()
    Game().fit(Rows(), checkpoint=tmp_path, every=13)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000013"]


def simple(**options: Any) -> Player:
    model = network()
    return Player(model, lambda batch: model(batch[0]).mean(), adam(model.parameters()), **options)


def wider() -> Player:
    model = nn.utils.skip_init(nn.Linear, 3, 5)
    return Player(model, lambda batch: model(batch[0]).mean(), adam(model.parameters()))


@pytest.mark.parametrize(
    ("player", "options", "words"),
    [
        (simple, {"seed": 1}, "holds another fit.*'seed': 0.*'seed': 1"),
        (lambda: simple(name="other"), {}, "holds another fit"),
        (lambda: simple(turns=2), {}, "holds another fit"),
        (simple, {"generators": {"extra": torch.Generator()}}, "holds another fit.*given/extra"),
        (wider, {}, "does not fit player 'player'"),
        (lambda: simple(ema=0.9), {}, r"another recipe for player 'player': ema was None and is now 0\.9\."),
        (simple, {"steps": 2}, "holds step 3, but steps=2"),
    ],
)
def test_a_checkpoint_of_another_fit_is_refused(
    tmp_path: Path, player: Callable[[], Player], options: dict[str, Any], words: str
):
    fit(simple(), Rows(), steps=3, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=words):
        fit(player(), Rows(), **({"steps": 3, "checkpoint": tmp_path} | options))
    latest = load_checkpoint(tmp_path)
    assert latest is not None
    assert latest.step == 3


Schedule = Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler] | None


def scheduled(schedule: Schedule, kind: type[torch.optim.Optimizer] = torch.optim.SGD, **options: Any) -> Player:
    model = network()
    optimizer = kind(model.parameters(), **({"lr": 0.5} | options))
    scheduler = schedule and schedule(optimizer)
    return Player(model, lambda batch: model(batch[0]).mean(), optimizer, scheduler=scheduler)


def cosine(steps: int) -> Schedule:
    return lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)


def milestones(*steps: int) -> Schedule:
    return lambda optimizer: torch.optim.lr_scheduler.MultiStepLR(optimizer, steps)


def warm_up(steps: int) -> Schedule:
    def schedule(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        rising = torch.optim.lr_scheduler.LinearLR(optimizer, total_iters=steps)
        constant = torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
        return torch.optim.lr_scheduler.SequentialLR(optimizer, [rising, constant], [steps])

    return schedule


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (
            partial(scheduled, None),
            partial(scheduled, None, lr=0.1),
            r"optimizer\.0\.lr was 0\.5 and is now 0\.1\. Give another",
        ),
        (
            partial(scheduled, None),
            partial(scheduled, None, momentum=0.9),
            r"'player': optimizer\.0\.momentum was 0 and is now 0\.9\.",
        ),
        (
            partial(scheduled, None),
            partial(scheduled, None, torch.optim.Adam),
            "'player': optimizer was 'SGD' and is now 'Adam'",
        ),
        (partial(scheduled, None), partial(scheduled, cosine(8)), "scheduler was None and is now 'CosineAnnealingLR'"),
        (
            partial(scheduled, cosine(4)),
            partial(scheduled, cosine(8)),
            r"'player': scheduler\.T_max was 4 and is now 8\. Give another",
        ),
        (
            partial(scheduled, milestones(2)),
            partial(scheduled, milestones(3)),
            r"milestones was Counter\({2: 1}\) and is now",
        ),
        (
            partial(scheduled, warm_up(2)),
            partial(scheduled, warm_up(3)),
            r"scheduler\._milestones was \[2\] and is now \[3\]",
        ),
    ],
)
def test_another_recipe_is_refused_by_name(
    tmp_path: Path, before: Callable[[], Player], after: Callable[[], Player], words: str
):
    fit(before(), Rows(), steps=4, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=words):
        fit(after(), Rows(), steps=8, checkpoint=tmp_path)


@pytest.mark.parametrize("schedule", [None, cosine(8), milestones(2, 6), warm_up(3)])
def test_the_same_recipe_goes_on_with_players_made_anew_or_not(tmp_path: Path, schedule: Schedule):
    straight, used = scheduled(schedule), scheduled(schedule)
    expected = fit(straight, Rows(), steps=8).metrics["player/loss"]
    for player, steps in ((used, 3), (used, 5), (scheduled(schedule), 8)):
        history = fit(player, Rows(), steps=steps, checkpoint=tmp_path)
    assert torch.equal(history.metrics["player/loss"], expected)
    assert player.optimizer.param_groups[0]["lr"] == straight.optimizer.param_groups[0]["lr"]


def test_a_checkpoint_without_a_recipe_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Version 1 had none."""
    monkeypatch.setattr(Player, "_recipe", lambda self: {})
    fit(scheduled(None), Rows(), steps=2, checkpoint=tmp_path)
    monkeypatch.undo()
    assert len(fit(scheduled(None), Rows(), steps=4, checkpoint=tmp_path).steps) == 4


@pytest.mark.parametrize("optimizer", [nesterov, adam])
def test_the_memory_format_of_the_optimizers_state_survives(tmp_path: Path, optimizer: Optimizers):
    """Momentum in another layout than its weights takes another path through the kernels, which may round otherwise."""

    def player() -> Player:
        model = nn.utils.skip_init(nn.Conv2d, 5, 7, 3).to(memory_format=torch.channels_last)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.linspace(-1, 1, parameter.numel()).reshape(parameter.shape))
        return Player(model, lambda x: model(x).square().mean(), optimizer(model.parameters()))

    def layouts(one: Player) -> list[tuple[int, ...]]:
        return [value.stride() for state in one.optimizer.state.values() for value in state.values()]

    batches = [torch.randn(4, 5, 6, 6, generator=torch.Generator().manual_seed(step)) for step in range(3)]
    straight, stopped, resumed = player(), player(), player()
    expected = fit(straight, batches, steps=12)
    with pytest.raises(StoppedError):
        fit(stopped, batches, steps=12, checkpoint=tmp_path, every=3, callbacks=[stop_at(5)])
    history = fit(resumed, batches, steps=12, checkpoint=tmp_path)
    assert layouts(resumed) == layouts(straight)
    assert torch.equal(resumed.model.weight, straight.model.weight)
    assert torch.equal(history.metrics["player/loss"], expected.metrics["player/loss"])
