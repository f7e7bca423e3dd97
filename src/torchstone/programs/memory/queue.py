"""The neural queue: first in, first out."""

from dataclasses import dataclass

import torch
from torch import Tensor

from torchstone.programs.memory.memory import Memory, MemoryState
from torchstone.programs.memory.strengths import popped, reading, recall


@dataclass(frozen=True)
class NeuralQueue(Memory):
    r"""A queue whose every action is differentiable; with whole pushes and pops it is an ordinary queue.

    As :class:`NeuralStack`, but pops and reads begin with the oldest cell:

    .. math:: s'_i = \max\Big(0, s_i - \max\Big(0, u - \sum_{j<i} s_j\Big)\Big), \quad s'_{new} = d, \quad
              r = \sum_i \min\Big(s'_i, \max\Big(0, 1 - \sum_{j<i} s'_j\Big)\Big)\, v_i

    Args:
        width: m, numbers in a value.

    >>> queue = NeuralQueue(width=1)
    >>> state = queue.start()
    >>> for value, push, pop in [(1.0, 1.0, 0.0), (2.0, 1.0, 0.0), (3.0, 1.0, 0.75)]:
    ...     state, read = queue.step(state, torch.tensor([value]), torch.tensor(push), torch.tensor(pop))
    >>> state.strengths, read                      # a quarter of the value 1, three quarters of the value 2
    (tensor([0.2500, 1.0000, 1.0000]), tensor([1.7500]))

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, equations 4 and 5.
    Differs from the paper: nothing.
    """

    def move(self, state: MemoryState, value: Tensor, push: Tensor, pop: Tensor) -> MemoryState:
        """Pop from the front, push at the back."""
        return MemoryState(
            torch.cat([state.values, value[..., None, :]], -2),
            torch.cat([popped(state.strengths, pop), push[..., None]], -1),
        )

    def read(self, state: MemoryState) -> Tensor:
        """The front."""
        return recall(reading(state.strengths), state.values)
