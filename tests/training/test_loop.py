import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchstone.training import NonFiniteLossError, Player, Round, fit, load_checkpoint

Objective = Callable[[Any], Any]


def scalar(value: float) -> nn.ParameterDict:
    return nn.ParameterDict({"w": torch.tensor(value, dtype=torch.float64)})


def player(model: nn.ParameterDict, objective: Objective, lr: float = 0.1, **options: Any) -> Player:
    return Player(model, objective, torch.optim.SGD(model.parameters(), lr=lr), **options)


def quadratic(start: float = 4.0, lr: float = 0.1) -> Player:
    model = scalar(start)
    return player(model, lambda batch: (model["w"] - batch) ** 2, lr)


def test_sgd_on_a_quadratic_has_its_closed_form():
    one = quadratic()
    history = fit(one, [1.0], steps=30)
    distances = 3 * 0.8 ** torch.arange(31, dtype=torch.float64)  # w − 1 shrinks by 1 − 2 lr
    torch.testing.assert_close(history.metrics["player/loss"], distances[:30] ** 2)
    torch.testing.assert_close(one.model["w"].detach() - 1, distances[30])


def test_a_bilinear_game_has_its_closed_form():
    """min over x, max over y of x y by alternating steps: y sees the new x."""
    x, y = scalar(1.0), scalar(2.0)
    players = [
        player(x, lambda _: x["w"] * y["w"], name="min"),
        player(y, lambda _: {"loss": -x["w"] * y["w"], "value": x["w"] * y["w"]}, name="max"),
    ]
    history = fit(players, [None], steps=3)
    a, b, values = 1.0, 2.0, []
    for _ in range(3):
        a -= 0.1 * b
        values.append(a * b)
        b += 0.1 * a
    assert history.metrics.keys() == {"min/loss", "max/loss", "max/value"}
    torch.testing.assert_close(history.metrics["max/value"], torch.tensor(values, dtype=torch.float64))
    assert (x["w"].item(), y["w"].item()) == pytest.approx((a, b), rel=1e-12)


def test_turns_count_updates_and_share_the_rounds_batches():
    critic, generator = scalar(0.0), scalar(0.0)
    seen: dict[str, list[int]] = {"critic": [], "generator": []}

    def objective(name: str, model: nn.ParameterDict) -> Objective:
        return lambda batch: seen[name].append(batch) or model["w"] ** 2

    players = [
        player(critic, objective("critic", critic), turns=3, name="critic"),
        player(generator, objective("generator", generator), name="generator"),
    ]
    history = fit(players, range(100), steps=2)
    assert seen == {"critic": [0, 1, 2, 3, 4, 5], "generator": [0, 3]}
    assert len(history.steps) == 2


def test_a_player_does_not_move_its_adversary():
    x, y = scalar(1.0), scalar(2.0)
    fit(player(x, lambda _: x["w"] * y["w"]), [None], steps=2)
    assert y["w"].item() == 2.0
    assert y["w"].grad is None


def test_modes_are_training_inside_and_as_before_outside(dropout: nn.Sequential):
    dropout.eval()
    dropout[0].train()
    modes: list[list[bool]] = []
    one = Player(
        dropout,
        lambda x: modes.append([m.training for m in dropout.modules()]) or dropout(x).mean(),
        torch.optim.SGD(dropout.parameters(), 0.1),
    )
    fit(one, [torch.ones(2, 3)], steps=1)
    assert modes == [[True] * 3]
    assert [module.training for module in dropout.modules()] == [False, True, False]


@pytest.fixture
def dropout() -> nn.Sequential:
    linear = nn.utils.skip_init(nn.Linear, 3, 2)
    for parameter in linear.parameters():
        nn.init.constant_(parameter, 0.5)
    return nn.Sequential(linear, nn.Dropout())


def losses(model: nn.Sequential, seed: int) -> Tensor:
    one = Player(model, lambda x: model(x).square().mean(), torch.optim.SGD(model.parameters(), 0.0))
    return fit(one, [torch.ones(8, 3)], steps=5, seed=seed).metrics["player/loss"]


def test_the_seed_fixes_dropout_and_the_global_generator_stands_still(dropout: nn.Sequential):
    before = torch.get_rng_state()
    first, again, other = losses(dropout, 0), losses(dropout, 0), losses(dropout, 1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_after_an_error_generator_and_modes_are_as_before(dropout: nn.Sequential):
    dropout.eval()
    before = torch.get_rng_state()

    def objective(x: Tensor) -> Tensor:
        dropout(x)
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fit(Player(dropout, objective, torch.optim.SGD(dropout.parameters(), 0.1)), [torch.ones(2, 3)], steps=1)
    assert torch.equal(torch.get_rng_state(), before)
    assert not dropout.training


def test_a_recorded_metric_is_a_copy():
    model = scalar(4.0)
    one = player(model, lambda _: {"loss": model["w"] ** 2, "weight": model["w"]}, lr=0.5)
    assert fit(one, [None], steps=2).metrics["player/weight"].tolist() == [4.0, 0.0]


def test_callbacks_see_every_round_and_progress_ends_at_one():
    rounds: list[Round] = []
    told: list[tuple[float, str]] = []
    fit(quadratic(), [1.0], steps=3, callbacks=[rounds.append], progress=lambda *news: told.append(news))
    assert [(seen.step, list(seen.metrics)) for seen in rounds] == [(step, ["player/loss"]) for step in (1, 2, 3)]
    assert told[-1] == (1.0, "step 3/3")


def test_progress_is_told_rarely():
    told: list[float] = []
    fit(quadratic(), [1.0], steps=2001, progress=lambda fraction, note: told.append(fraction))
    assert len(told) == 201
    assert told == sorted(told)


def poisoned() -> tuple[Player, list[float]]:
    return quadratic(), [1.0, 2.0, math.nan, 3.0]


def test_a_nan_loss_stops_before_its_update():
    one, batches = poisoned()
    with pytest.raises(NonFiniteLossError, match=r"'player' was nan at step 2.*Give checkpoint") as caught:
        fit(one, batches, steps=4)
    reference = quadratic()
    fit(reference, batches, steps=2)
    assert torch.equal(one.model["w"], reference.model["w"])
    assert (caught.value.step, caught.value.evidence) == (2, None)
    assert math.isnan(caught.value.batch)


def test_an_overflow_is_found_too():
    with pytest.raises(NonFiniteLossError, match="was inf"):
        fit(quadratic(lr=1e4), [1.0], steps=200)


def test_the_evidence_repeats_the_failure(tmp_path: Path):
    one, batches = poisoned()
    for _ in range(2):  # the second fit resumes from step 2 and finds the evidence of the first in its place
        with pytest.raises(NonFiniteLossError, match="The evidence: ") as caught:
            fit(one, batches, steps=4, checkpoint=tmp_path, every=1)
    assert caught.value.evidence is not None
    found = load_checkpoint(caught.value.evidence.parent)
    assert found is not None
    assert (found.step, found.state["player"]) == (2, "player")
    suspect = quadratic()
    suspect.load_state_dict(found.state["players"]["player"])
    assert torch.equal(suspect.model["w"], one.model["w"])
    assert math.isnan(suspect.evaluate(found.state["batch"])["loss"].item())
    assert len(found.state["history"]["player/loss"]) == 2
    latest = load_checkpoint(tmp_path)
    assert latest is not None
    assert latest.step == 2


def test_evidence_holds_the_generator_before_the_failing_draw(tmp_path: Path, dropout: nn.Sequential):
    def objective(x: Tensor) -> Tensor:
        loss = dropout(x).mean()
        return loss / (loss < 0.9)  # infinite as soon as more than a few units survive

    one = Player(dropout, objective, torch.optim.SGD(dropout.parameters(), 0.0))
    with pytest.raises(NonFiniteLossError) as caught:
        fit(one, [torch.ones(1, 3)], steps=50, checkpoint=tmp_path)
    assert caught.value.evidence is not None
    found = load_checkpoint(caught.value.evidence.parent)
    assert found is not None
    with torch.random.fork_rng():
        torch.set_rng_state(found.state["generators"]["cpu"])
        dropout.train()
        assert math.isinf(objective(found.state["batch"]).item())


def test_evidence_without_a_batch_that_no_file_can_hold(tmp_path: Path):
    model, batch = scalar(1.0), object()
    with pytest.raises(NonFiniteLossError) as caught:
        fit(player(model, lambda _: model["w"] * math.nan), [batch], steps=1, checkpoint=tmp_path)
    assert caught.value.batch is batch
    found = load_checkpoint(tmp_path / "non-finite")
    assert found is not None
    assert "batch" not in found.state


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps=0"),
        ({"steps": 3, "every": 0}, "every=0"),
        ({"steps": 3, "every": 1}, "checkpoint, their folder, is None"),
    ],
)
def test_contradictory_arguments_are_refused(options: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        fit(quadratic(), [1.0], **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 4.0}, r"steps and every must be whole numbers, but steps=4\.0 and every=None"),
        ({"steps": 4, "every": "2"}, "must be whole numbers, but steps=4 and every='2'"),
        ({"steps": 4, "callbacks": print}, r"callbacks must be a list of functions, .* callbacks=\[...\]"),
    ],
)
def test_arguments_of_another_type_are_refused(options: dict[str, Any], words: str):
    with pytest.raises(TypeError, match=words):
        fit(quadratic(), [1.0], **options)


def test_players_need_names_of_their_own():
    for players in ([], [quadratic(), quadratic()]):
        with pytest.raises(ValueError, match="one or more with different names"):
            fit(players, [1.0], steps=1)
