"""Where batches come from: random access by step, or an iterable that is read again and again."""

from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Any, Protocol, runtime_checkable

import torch

from torchstone.training.randomness import Generators, isolated


@runtime_checkable
class RandomAccess(Protocol):
    """Batches that are a function of the step, so that a resumed fit starts at any step at no cost."""

    def at(self, step: int, /) -> Any:
        """The batch of step ``step``, 0 or more."""
        ...


def read(batches: RandomAccess | Iterable[Any], start: int, generators: Generators, seed: int) -> Iterator[Any]:
    """All batches from number ``start`` on, without end; an iterable is begun again where it ends.

    The first ``start`` batches of an iterable are read and thrown away. A loader that draws from torch's global
    generators draws from a stream of its own here, fixed by ``seed``, so the same batches come after a resume.

    Raises:
        TypeError: ``batches`` is neither.
        ValueError: an iterable gives no batch when it is begun (again).
    """
    if isinstance(batches, RandomAccess):
        return (batches.at(number) for number in count(start))
    if not isinstance(batches, Iterable):
        raise TypeError(
            "batches must have a method at(step), as torchstone.data.Batches has, or be an iterable such as a "
            f"DataLoader, but it is of type {type(batches).__name__}."
        )
    own_seed = int(torch.randint(2**62, (), generator=torch.Generator().manual_seed(seed)))
    stream = isolated(_forever(batches), generators, own_seed)
    for _ in islice(stream, start):
        pass
    return stream


def _forever(batches: Iterable[Any]) -> Iterator[Any]:
    for epoch in count():
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise ValueError(
                f"batches gave nothing on pass {epoch + 1} over it: it is empty, or an iterator that can be read only "
                "once. Give an iterable that can be read again, such as a list or a DataLoader."
            )
