"""AET: it learns, whatever is to be predicted; resumes exactly; has scikit-learn's manners; refuses what makes none."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from torch import Tensor, nn

from torchstone.data import Batches, random_flip, stream
from torchstone.nets import NIN
from torchstone.selfsup import AET, RandomAffine, RandomProjective, Recipe, Rotation90, features
from torchstone.training import NonFiniteLossError

SMALL = Recipe(rate=0.05, batch_size=16)
TURN_AND_MOVE = RandomAffine(scale=(1, 1), shear=0)


class Brightness:
    """A user's own transformation."""

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        return torch.rand(n, 1, generator=generator)

    def apply(self, images: Tensor, t: Tensor) -> Tensor:
        return images * (0.5 + t[:, :, None, None])

    def target(self, t: Tensor) -> Tensor:
        return 4 * t - 2


def same(a: nn.Module, b: nn.Module) -> bool:
    first, second = a.state_dict(), b.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_it_learns_to_tell_affine_maps(encoder: nn.Module, images: Tensor) -> None:
    aet = AET(encoder, TURN_AND_MOVE, recipe=SMALL).fit(images, steps=150)
    measured = aet.transformation_error(images)
    assert measured.error < 0.6 * measured.chance
    assert measured.chance == pytest.approx((1 / 2 + 1 / 2 + 2 / 3) / 6, abs=0.06)
    assert measured.parts.shape == (6,)
    assert measured.parts[4:].abs().max() < 0.05  # of zoom and shear there is nothing to tell
    assert aet.history_.metrics["player/error"][-20:].mean() < aet.history_.metrics["player/error"][:5].mean()


@pytest.mark.parametrize(
    ("transformation", "loss"),
    [
        (RandomProjective(), "parameters"),
        (RandomProjective(rot90=False), "images"),
        (TURN_AND_MOVE, "matrix"),
        (TURN_AND_MOVE, "images"),
        (Brightness(), "parameters"),
        (Rotation90(), "parameters"),
    ],
)
def test_every_loss_falls(encoder: nn.Module, images: Tensor, transformation: Any, loss: Any) -> None:
    recipe = Recipe(rate=0.01, batch_size=16)
    aet = AET(encoder, transformation, loss=loss, recipe=recipe).fit(images, steps=60, seed=1)
    losses = aet.history_.metrics["player/loss"]
    assert losses[-15:].mean() < 0.9 * losses[:5].mean()


@pytest.mark.parametrize("transformation", [RandomProjective(), TURN_AND_MOVE])
@pytest.mark.parametrize("loss", ["parameters", "matrix", "images"])
def test_a_diverged_training_is_stopped(encoder: nn.Module, images: Tensor, transformation: Any, loss: Any) -> None:
    recipe = Recipe(rate=1e30, batch_size=16)
    with pytest.raises(NonFiniteLossError):
        AET(encoder, transformation, loss=loss, head="linear", recipe=recipe).fit(images, steps=6)


def test_the_first_loss_is_what_the_formula_says(encoder: nn.Module, images: Tensor) -> None:
    """By hand: a pass for each image in training mode, both rows through the head, the mean squared error."""
    transform = RandomAffine()
    aet = AET(encoder, transform, recipe=Recipe(rate=1e-30, batch_size=64)).fit(images, steps=1, seed=5)
    x, _ = Batches(images, torch.arange(64), size=64, seed=5).at(0)
    t = transform.sample(64, stream(5, "pretext"))
    with torch.no_grad():
        rows = [encoder.train()(branch) for branch in (x, transform.apply(x, t))]
        by_hand = nn.functional.mse_loss(aet.head_(torch.cat(rows, dim=1)), transform.target(t))
    assert aet.history_.final["player/loss"] == pytest.approx(by_hand.item(), rel=1e-5)
    statistics = aet.encoder_.block4[1].running_var  # moved by two passes, not by one on both
    torch.testing.assert_close(statistics, encoder.block4[1].running_var)


def test_the_papers_head_has_its_parameters() -> None:
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    aet = AET(NIN(seed=0), RandomAffine(), recipe=Recipe(batch_size=2)).fit(x, steps=1)
    assert sum(weights.numel() for weights in aet.head_.parameters()) == 2_310


def test_the_head_may_be_linear(encoder: nn.Module, images: Tensor) -> None:
    linear = AET(encoder, RandomAffine(), head="linear", recipe=SMALL).fit(images, steps=1)
    assert isinstance(linear.head_, nn.Linear)
    bounded = AET(encoder, RandomProjective(), head="tanh", recipe=SMALL).fit(images, steps=1)
    assert isinstance(bounded.head_[1], nn.Tanh)
    assert isinstance(AET(encoder, RandomProjective(), recipe=SMALL).fit(images, steps=1).head_, nn.Linear)


def test_a_killed_fit_goes_on_as_if_nothing_had_happened(encoder: nn.Module, images: Tensor, tmp_path: Path) -> None:
    aet = AET(encoder, RandomAffine(), recipe=SMALL, augment=random_flip())
    whole = aet.fit(images, steps=12, seed=3)
    state, losses = whole.encoder_.state_dict(), whole.history_.metrics["player/loss"]

    def kill(done: float, note: str) -> None:
        if done > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        aet.fit(images, steps=12, seed=3, checkpoint=tmp_path, progress=kill)
    resumed = aet.fit(images, steps=12, seed=3, checkpoint=tmp_path)
    assert torch.equal(resumed.history_.metrics["player/loss"], losses)
    assert all(torch.equal(value, state[name]) for name, value in resumed.encoder_.state_dict().items())


def test_the_seed_decides_and_the_given_encoder_stays(encoder: nn.Module, images: Tensor) -> None:
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    first, again, other = (
        AET(encoder, RandomAffine(), recipe=SMALL).fit(images, steps=3, seed=seed) for seed in (0, 0, 1)
    )
    assert same(first.encoder_, again.encoder_)
    assert same(first.head_, again.head_)
    assert not same(first.encoder_, other.encoder_)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert first.transformation_error(images, seed=4).error == again.transformation_error(images, seed=4).error


def test_bytes_are_divided_by_255(encoder: nn.Module, images: Tensor) -> None:
    octets = (255 * images.clamp(0, 1)).byte()
    from_bytes = AET(encoder, RandomAffine(), recipe=SMALL).fit(octets, steps=2)
    from_floats = AET(encoder, RandomAffine(), recipe=SMALL).fit(octets.float() / 255, steps=2)
    assert same(from_bytes.encoder_, from_floats.encoder_)


def test_it_has_scikit_learns_manners(encoder: nn.Module, images: Tensor) -> None:
    aet = AET(encoder, RandomAffine(), recipe=SMALL)
    assert set(aet.get_params(deep=False)) == {"encoder", "transformation", "loss", "head", "recipe", "augment"}
    copy = clone(aet).set_params(loss="matrix")
    assert (copy.loss, aet.loss, copy.recipe) == ("matrix", "parameters", SMALL)
    assert same(copy.encoder, encoder)
    with pytest.raises(NotFittedError):
        aet.transform(images)
    rows = make_pipeline(aet).fit(images.numpy(), aet__steps=2).transform(images.numpy())
    assert isinstance(rows, np.ndarray)
    assert rows.shape == (64, 6)
    assert aet.fit_transform(images, steps=2).shape == (64, 6)


def test_features_of_a_layer_are_the_layers(encoder: nn.Module, images: Tensor) -> None:
    with torch.no_grad():
        maps = encoder.eval().block2(encoder.block1(images))
    encoder.train()
    torch.testing.assert_close(features(encoder, images, layer="block2", batch_size=10), maps.flatten(1))
    pooled = torch.nn.functional.adaptive_avg_pool2d(maps, 2).flatten(1)
    torch.testing.assert_close(features(encoder, images, layer="block2", pool=2), pooled)
    torch.testing.assert_close(features(encoder, images[:1]), features(encoder, images)[:1])
    assert encoder.training
    assert not encoder._forward_hooks
    assert not encoder.block2._forward_hooks


def test_layers_that_are_none_are_refused(encoder: nn.Module, images: Tensor) -> None:
    with pytest.raises(ValueError, match=r"`layer` 'blok2' is no module of the encoder\. It has block"):
        features(encoder, images, layer="blok2")
    with pytest.raises(ValueError, match=r"`layer` 'a' is no module of the encoder\. It has none"):
        features(nn.Flatten(), images, layer="a")
    with pytest.raises(ValueError, match="`pool` needs maps"):
        features(encoder, images, pool=2)
    with pytest.raises(ValueError, match="`pool` must be at least 1"):
        features(encoder, images, layer="block2", pool=0)
    encoder.register_module("idle", nn.ReLU())
    with pytest.raises(ValueError, match="'idle' is not called"):
        features(encoder, images, layer="idle")
    with pytest.raises(ValueError, match="must put out one row or map for each image"):
        features(nn.Flatten(0), images)


@pytest.mark.parametrize(
    ("bad", "error", "match"),
    [
        (torch.zeros(64, 12, 12), ValueError, r"images \(n, c, h, w\), but has shape"),
        (torch.zeros(0, 1, 12, 12), ValueError, "one or more images"),
        (torch.full((64, 1, 12, 12), torch.nan), ValueError, "NaN or infinite"),
        (torch.zeros(64, 1, 12, 12, dtype=torch.int64), TypeError, "uint8 .* or floating point"),
        ([1, 2], TypeError, "`images` is a list"),
        (torch.zeros(3, 1, 12, 12), ValueError, "has 3 images, but a batch of the recipe 16"),
    ],
)
def test_other_images_are_refused(encoder: nn.Module, bad: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        AET(encoder, RandomAffine(), recipe=SMALL).fit(bad, steps=1)


def test_senseless_settings_are_refused(encoder: nn.Module, images: Tensor) -> None:
    with pytest.raises(ValueError, match="`loss` must be one of parameters, matrix, images"):
        AET(encoder, RandomAffine(), loss="l1", recipe=SMALL).fit(images, steps=1)
    with pytest.raises(ValueError, match="`head` one of tanh, linear"):
        AET(encoder, RandomAffine(), head="relu", recipe=SMALL).fit(images, steps=1)
    for loss, methods in (("matrix", "from_target and matrix"), ("images", "target and from_target")):
        with pytest.raises(TypeError, match=f"methods .*{methods}, but Brightness lacks"):
            AET(encoder, Brightness(), loss=loss, recipe=SMALL).fit(images, steps=1)
    for bad in ({"rate": 0}, {"momentum": 1}, {"weight_decay": -1}, {"batch_size": 1}, {"schedule": "linear"}):
        with pytest.raises(ValueError, match=f"`{next(iter(bad))}`"):
            Recipe(**bad)


def test_the_papers_schedule_falls_four_times(encoder: nn.Module) -> None:
    player = Recipe(schedule="paper").player(encoder, lambda batch: batch, 1500)
    rates = []
    for _ in range(1500):
        rates.append(player.optimizer.param_groups[0]["lr"])
        player.optimizer.step()
        player.scheduler.step()
    for epoch, rate in ((0, 0.1), (239, 0.1), (240, 0.02), (480, 0.004), (640, 8e-4), (800, 1.6e-4), (1499, 1.6e-4)):
        assert rates[epoch] == pytest.approx(rate)
