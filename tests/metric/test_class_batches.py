"""Batches of classes × instances: what is in them, and that a step fixes them."""

from itertools import islice

import pytest
import torch

from torchstone.metric import ClassBalancedBatches, MetricWarning
from torchstone.training.batches import RandomAccess

LABELS = torch.arange(60) // 6 * 5 + 2
IMAGES = torch.arange(60, dtype=torch.uint8).reshape(60, 1, 1, 1)


def batches(**arguments: object) -> ClassBalancedBatches:
    given = {"images": IMAGES, "labels": LABELS, "classes": 4, "instances": 3, "seed": 0, **arguments}
    return ClassBalancedBatches(**given)  # type: ignore[arg-type]


def test_batches_hold_different_examples_of_different_classes() -> None:
    source = batches()
    for step in range(50):
        x, y = source.at(step)
        rows = source.rows_at(step)
        assert len(rows.unique()) == 12
        assert y.view(4, 3).eq(y.view(4, 3)[:, :1]).all()
        assert len(y.unique()) == 4
        assert torch.equal(y, LABELS[rows])
        torch.testing.assert_close(x, IMAGES[rows].float() / 255)


def test_a_step_fixes_its_batch_and_the_seed_the_stream() -> None:
    source = batches()
    assert isinstance(source, RandomAccess)
    for step, (x, y) in enumerate(islice(batches(), 5)):
        assert torch.equal(x, source.at(step)[0])
        assert torch.equal(y, source.at(step)[1])
    assert not torch.equal(source.rows_at(0), source.rows_at(1))
    assert not torch.equal(source.rows_at(0), batches(seed=1).rows_at(0))


def test_all_examples_come_equally_often() -> None:
    source = batches()
    counts = torch.cat([source.rows_at(step) for step in range(1000)]).bincount(minlength=60)
    assert len(counts) == 60
    assert (counts - 200).abs().max() < 5 * (1000 * 0.2 * 0.8) ** 0.5


def test_small_classes_are_drawn_with_replacement_and_say_so() -> None:
    labels = torch.tensor([0] * 8 + [1] * 2)
    with pytest.warns(MetricWarning, match="1 of 2 classes have fewer than 4 examples"):
        source = batches(images=torch.rand(10, 3, generator=torch.Generator()), labels=labels, classes=2, instances=4)
    for step in range(20):
        rows = source.rows_at(step)
        assert torch.equal(labels[rows].bincount(), torch.tensor([4, 4]))
        assert len(rows[labels[rows] == 0].unique()) == 4


def test_augmentation_draws_from_the_step() -> None:
    def noise(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return x + torch.rand(x.shape, generator=generator)

    source = batches(augment=noise)
    assert torch.equal(source.at(3)[0], batches(augment=noise).at(3)[0])
    assert (source.at(3)[0] - batches().at(3)[0]).std() > 0.1


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"classes": 11}, ValueError, "1 to 10 classes"),
        ({"instances": 0}, ValueError, "at least 1 instance"),
        ({"labels": LABELS.float()}, TypeError, "`labels` must be a tensor of integers"),
        ({"labels": LABELS[:9]}, ValueError, "same number of rows"),
        ({"images": IMAGES.int()}, ValueError, "`images` must be uint8"),
    ],
)
def test_bad_input_is_refused_in_words(arguments: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        batches(**arguments)


def test_steps_count_from_zero() -> None:
    with pytest.raises(IndexError, match="counts from 0, but is -1"):
        batches().at(-1)
