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
    """How many numbers a cell takes as an input, how many it gives, and how many it reads from its memories."""
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


def parts(state: Any) -> tuple[Tensor, ...]:
    """The state of a cell as a tuple."""
    return state if isinstance(state, tuple) else (state,)
