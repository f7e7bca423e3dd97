"""Mini-batches: every epoch a permutation, every batch a function of seed and step alone."""

from itertools import islice

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.data import Batches, affine_jitter


def rows(n: int = 10, size: int = 3, seed: int = 0) -> Batches:
    return Batches(torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1), torch.arange(n), size=size, seed=seed)


def noisy(seed: int = 0) -> Batches:
    def augment(x: Tensor, generator: torch.Generator) -> Tensor:
        return x + torch.rand(x.shape, generator=generator)

    return Batches(torch.zeros(10, 1, 2, 2), torch.arange(10), size=5, seed=seed, augment=augment)


@given(n=st.integers(1, 40), data=st.data())
def test_an_epoch_shows_whole_batches_of_different_examples(n: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, n))
    batches = rows(n, size)
    seen = torch.cat([batches.at(step)[1] for step in range(batches.steps_per_epoch)])
    assert batches.steps_per_epoch == n // size
    assert len(seen) == size * (n // size)
    assert len(seen.unique()) == len(seen)


def test_over_the_epochs_every_example_is_shown_equally_often() -> None:
    batches = rows(n=10, size=3)
    seen = torch.cat([batches.at(step)[1] for step in range(3 * 400)])
    assert seen.bincount().sub(360).abs().max() < 36  # six standard deviations of the binomial count


def test_epochs_differ_and_seeds_differ() -> None:
    orders = [rows(n=100, size=100, seed=seed).at(epoch)[1] for seed in (0, 1) for epoch in (0, 1)]
    assert all(not torch.equal(a, b) for i, a in enumerate(orders) for b in orders[:i])


def test_images_stay_with_their_labels() -> None:
    x, y = rows(n=200, size=50).at(5)
    assert torch.equal((x * 255).round().flatten().to(torch.int64), y)


def test_a_batch_depends_on_nothing_but_seed_and_step() -> None:
    forwards = [noisy().at(step) for step in range(6)]
    source = noisy()
    for step in reversed(range(6)):
        assert all(torch.equal(a, b) for a, b in zip(source.at(step), forwards[step], strict=True))
    for drawn, at in zip(islice(noisy(), 6), forwards, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(drawn, at, strict=True))


def test_augmentation_differs_from_step_to_step_and_seed_to_seed() -> None:
    pictures = [noisy(seed).at(step)[0] for seed in (0, 1) for step in (0, 1, 2)]
    assert all(not torch.equal(a, b) for i, a in enumerate(pictures) for b in pictures[:i])


def test_bytes_become_fractions_and_floats_stay() -> None:
    assert Batches(torch.full((2, 1), 255, dtype=torch.uint8), torch.arange(2), size=2, seed=0).at(0)[0].tolist() == [
        [1.0],
        [1.0],
    ]
    x, _ = Batches(torch.full((2, 1), -7.5, dtype=torch.float64), torch.arange(2), size=2, seed=0).at(0)
    assert (x.dtype, x.tolist()) == (torch.float64, [[-7.5], [-7.5]])


def test_the_stored_images_are_never_changed() -> None:
    images = torch.full((4, 1, 8, 8), 100, dtype=torch.uint8)
    Batches(images, torch.arange(4), size=4, seed=0, augment=affine_jitter()).at(0)
    assert images.eq(100).all()


def test_batches_come_on_the_device_that_was_asked_for() -> None:
    x, y = Batches(torch.zeros(4, 1), torch.arange(4), size=2, seed=0, device="meta").at(0)
    assert (x.device.type, y.device.type) == ("meta", "meta")


def test_what_makes_no_sense_is_refused() -> None:
    images, labels = torch.zeros(4, 1), torch.arange(4)
    with pytest.raises(ValueError, match="`size` must lie between 1 and the number of examples 4, but is 5"):
        Batches(images, labels, size=5, seed=0)
    with pytest.raises(ValueError, match="`size` must lie between 1"):
        Batches(images, labels, size=0, seed=0)
    with pytest.raises(ValueError, match="same number of rows"):
        Batches(images, labels[:3], size=2, seed=0)
    with pytest.raises(ValueError, match=r"must be uint8 .* but is torch.int64"):
        Batches(images.long(), labels, size=2, seed=0)
    with pytest.raises(IndexError, match="counts from 0, but is -1"):
        Batches(images, labels, size=2, seed=0).at(-1)
