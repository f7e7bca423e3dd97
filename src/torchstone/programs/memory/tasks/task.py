"""What all tasks share: sequences of words in batches, a function of the seed and the step."""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from torchstone.data.streams import stream
from torchstone.programs.memory.inputs import check_size

START, SEPARATOR, END = "<s>", "|||", "</s>"


class Example(NamedTuple):
    """One sequence: the words that come in, those that should come out, and the steps at which that counts."""

    inputs: Sequence[str]
    targets: Sequence[str]
    scored: Sequence[bool]


class SequenceBatch(NamedTuple):
    """Sequences of one batch, padded behind: numbers of words, steps that are there, steps that count."""

    inputs: Int64[Tensor, "b t"]
    targets: Int64[Tensor, "b t"]
    mask: Bool[Tensor, "b t"]
    scored: Bool[Tensor, "b t"]

    def to(self, device: torch.device | str) -> "SequenceBatch":
        """The same batch on a device."""
        return SequenceBatch(*(part.to(device) for part in self))


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """An endless source of batches of sequences, with random access: what ``fit`` takes as batches.

    Args:
        lengths: the least and the greatest length, both included.
        batch: sequences in a batch.
        seed: every seed, length and step has draws of its own. Test with another seed, or with other lengths.

    Raises:
        ValueError: no such lengths, or a batch below 1.
    """

    lengths: tuple[int, int]
    batch: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.lengths, tuple | list) or len(self.lengths) != 2:
            raise ValueError(f"`lengths` must be (shortest, longest), but is {self.lengths!r}.")
        shortest, longest = self.lengths
        check_size("lengths[0]", shortest)
        check_size("lengths[1]", longest)
        check_size("batch", self.batch)
        if shortest > longest:
            raise ValueError(f"`lengths` must be (shortest, longest), but is {self.lengths}.")

    @property
    @abstractmethod
    def words(self) -> tuple[str, ...]:
        """All words, in the order of their numbers."""

    @abstractmethod
    def example(self, generator: random.Random) -> Example:
        """One sequence, drawn from the generator alone."""

    def at(self, step: int) -> SequenceBatch:
        """The batch of a step, counted from 0.

        Raises:
            IndexError: ``step`` is negative.
        """
        if step < 0:
            raise IndexError(f"`step` counts from 0, but is {step}.")
        generator = random.Random(stream(self.seed, type(self).__name__, *self.lengths, step).initial_seed())
        return self.encode([self.example(generator) for _ in range(self.batch)])

    def encode(self, examples: Sequence[Example]) -> SequenceBatch:
        """A batch of given examples."""
        number = {word: i for i, word in enumerate(self.words)}
        inputs = [torch.tensor([number[word] for word in example.inputs]) for example in examples]
        targets = [torch.tensor([number[word] for word in example.targets]) for example in examples]
        scored = [torch.tensor(example.scored) for example in examples]
        mask = [torch.ones(len(row), dtype=torch.bool) for row in inputs]
        return SequenceBatch(*(pad_sequence(rows, batch_first=True) for rows in (inputs, targets, mask, scored)))

    def spell(self, numbers: Iterable[int] | Int64[Tensor, " t"]) -> list[str]:
        """The words of these numbers."""
        return [self.words[int(number)] for number in numbers]
