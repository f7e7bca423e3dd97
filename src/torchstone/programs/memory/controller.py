"""The controller's side of a memory network: any recurrent cell, what it carries, and where it begins."""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone.programs.memory.memory import Memory, MemoryState

Hidden = tuple[Float[Tensor, "b h"], ...]
"""The parts of a cell's state: h, and for an LSTM c."""


class RNNState(NamedTuple):
    """What a :class:`MemoryRNN` carries from step to step: the parts of its cell's state, and its memory."""

    hidden: Hidden
    memory: MemoryState

    def detach(self) -> "RNNState":
        """The same state without its history: for truncated backpropagation through time."""
        return RNNState(tuple(part.detach() for part in self.hidden), self.memory.detach())


class Moment(NamedTuple):
    """One step: the state after it, and the actions that led there."""

    state: RNNState
    push: Tensor
    pop: Tensor


def advance(cell: nn.Module, x: Float[Tensor, "b d"], hidden: Hidden) -> Hidden:
    """One step of any cell, whether its state has one part or more."""
    return parts(cell(x, hidden if len(hidden) > 1 else hidden[0]))


def first_state(cell: nn.Module, inputs: int, hidden: int) -> list[nn.Parameter]:
    """A beginning to be learned for each part of the cell's state, drawn as a cell's weights are."""
    state = parts(cell(torch.zeros(1, inputs).to(next(cell.parameters()))))
    bound = hidden**-0.5
    return [nn.Parameter(torch.empty(part.shape[-1]).uniform_(-bound, bound)) for part in state]


def sizes(cell: nn.Module, memory: Memory, copies: int) -> tuple[int, int, int]:
    """How many numbers a cell takes as an input, how many it gives, and how many it reads from its memories.

    Raises:
        TypeError: the memory is none, or the cell none: it has no sizes, or takes whole sequences.
        ValueError: the cell has no room for an input.
    """
    if not isinstance(memory, Memory):
        raise TypeError(f"`memory` must be a memory such as NeuralStack(width), but is {memory!r}.")
    if isinstance(cell, nn.RNNBase):
        name = type(cell).__name__
        raise TypeError(f"`cell` must take one step at a time, but nn.{name} takes sequences. Give it nn.{name}Cell.")
    takes, gives = (getattr(cell, name, None) for name in ("input_size", "hidden_size"))
    if not isinstance(takes, int) or not isinstance(gives, int):
        raise TypeError(
            f"`cell`, a {type(cell).__name__}, must say its sizes as nn.LSTMCell does: `input_size`, `hidden_size`."
        )
    reads = copies * math.prod(memory.ends) * memory.read_width
    if takes <= reads:
        raise ValueError(
            f"`cell` takes {takes} inputs, but {reads} numbers are read from the memory alone. Give it input_size = "
            f"{reads} + the size of an input."
        )
    return takes - reads, gives, reads


def check_carried(state: RNNState, fresh: RNNState) -> None:
    """Refuse a state that another network left, or another batch."""
    if not isinstance(state, RNNState):
        raise TypeError(
            f"`state` must be what a MemoryRNN returned or its start(batch), but is a {type(state).__name__}. It holds "
            "the memory beside the parts of the cell's state: RNNState(hidden, memory)."
        )
    if len(state.hidden[0]) != len(fresh.hidden[0]):
        raise ValueError(
            f"`state` is for a batch of {len(state.hidden[0])}, but `x` has {len(fresh.hidden[0])} sequences."
        )
    found, expected = kind(state), kind(fresh)
    if found != expected:
        raise ValueError(
            f"`state` is of another network: its parts are {found}, but those of this one {expected}. Begin with "
            "rnn.start(batch)."
        )


def kind(state: RNNState) -> str:
    """Shapes and dtypes of a state's parts, but for the number of cells."""
    values = state.memory.values
    memory = f"{tuple(values.shape[:-2])} x cells x {values.shape[-1]} {values.dtype}"
    return ", ".join([*(f"{tuple(part.shape)} {part.dtype}" for part in state.hidden), f"memory {memory}"])


def parts(state: Any) -> tuple[Tensor, ...]:
    """The state of a cell as a tuple."""
    return state if isinstance(state, tuple) else (state,)
