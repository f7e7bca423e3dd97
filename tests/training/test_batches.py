from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from torchstone.training.batches import read

GLOBAL = {"cpu": torch.default_generator}


class Squares:
    def at(self, step: int) -> int:
        return step * step


class Noisy:
    """Draws from torch's global generator, as random augmentation in a data set does."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> torch.Tensor:
        return index + torch.rand(())


def take(batches: Any, start: int, number: int, seed: int = 0) -> list[Any]:
    return list(islice(read(batches, start, GLOBAL, seed), number))


def test_random_access_starts_anywhere():
    assert take(Squares(), 3, 3) == [9, 16, 25]


def test_an_iterable_begins_again_at_its_end():
    assert take([1, 2, 3], 0, 7) == [1, 2, 3, 1, 2, 3, 1]
    assert take([1, 2, 3], 4, 3) == [2, 3, 1]


@pytest.mark.parametrize("start", [0, 1, 3, 4, 9])
def test_a_shuffling_noisy_loader_goes_on_where_it_was(start: int):
    loader = DataLoader(Noisy(), batch_size=2, shuffle=True)
    whole = take(loader, 0, 14)
    rest = take(loader, start, 14 - start)
    assert all(torch.equal(a, b) for a, b in zip(whole[start:], rest, strict=True))


def test_a_loader_does_not_see_what_the_model_draws():
    loader = DataLoader(Noisy(), batch_size=2, shuffle=True)
    calm = take(loader, 0, 9)
    state = torch.get_rng_state()
    disturbed = []
    for batch in islice(read(loader, 0, GLOBAL, 0), 9):
        disturbed.append(batch)
        torch.rand(3)
    torch.set_rng_state(state)
    assert all(torch.equal(a, b) for a, b in zip(calm, disturbed, strict=True))


def test_the_seed_orders_the_loader_and_epochs_differ():
    loader = DataLoader(range(50), batch_size=50, shuffle=True)  # type: ignore[arg-type]
    first, second = take(loader, 0, 2)
    assert not torch.equal(first, second)
    assert not torch.equal(first, take(loader, 0, 1, seed=1)[0])
    assert torch.equal(first.sort().values, torch.arange(50))


def once() -> Iterator[int]:
    yield from [1, 2, 3]


def test_an_iterator_serves_as_long_as_it_lasts():
    assert take(once(), 1, 2) == [2, 3]
    with pytest.raises(ValueError, match="on pass 2"):
        take(once(), 0, 4)


def test_an_empty_iterable_is_refused():
    with pytest.raises(ValueError, match="on pass 1"):
        take([], 0, 1)


def test_what_is_neither_is_refused():
    with pytest.raises(TypeError, match="of type int"):
        read(3, 0, GLOBAL, 0)  # type: ignore[arg-type]
