"""The neural stack: last in, first out, with pushes and pops of any strength between 0 and 1."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from torchstone.programs.memory.memory import Memory, MemoryState
from torchstone.programs.memory.strengths import popped, reading, recall


@dataclass(frozen=True)
class NeuralStack(Memory):
    r"""A stack whose every action is differentiable; with whole pushes and pops it is an ordinary stack.

    Cells keep their values :math:`v_i` for ever; what changes is their strength :math:`s_i`. A pop of :math:`u` takes
    strength away from the top down, a push adds a cell of strength :math:`d`, a read mixes the topmost cells up to a
    strength of 1 in all:

    .. math:: s'_i = \max\Big(0, s_i - \max\Big(0, u - \sum_{j \text{ above } i} s_j\Big)\Big), \qquad s'_{new} = d,
              \qquad r = \sum_i \min\Big(s'_i, \max\Big(0, 1 - \sum_{j \text{ above } i} s'_j\Big)\Big)\, v_i

    Reading an empty stack gives 0, popping it does nothing. At ties of max and min the derivative is that of the left
    argument. A step costs O(n m) for n cells, all of them at once.

    Args:
        width: m, numbers in a value.

    >>> stack = NeuralStack(width=1)
    >>> state = stack.start()
    >>> for value, push, pop in [(1.0, 0.8, 0.0), (2.0, 0.5, 0.1), (3.0, 0.9, 0.9)]:
    ...     state, read = stack.step(state, torch.tensor([value]), torch.tensor(push), torch.tensor(pop))
    >>> state.strengths, read                      # 0.9 of the value 3 and, below what was popped, 0.1 of the value 1
    (tensor([0.9000, 0.0000, 0.3000]), tensor([2.8000]))

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, equations 1 to 3 and figure 1a.
    Differs from the paper: cells are listed from the top down (the paper's row i is the last but t - i here).
    """

    grows: ClassVar[tuple[bool, bool]] = (True, False)

    def move(self, state: MemoryState, value: Tensor, push: Tensor, pop: Tensor) -> MemoryState:
        """Pop from the top, push onto the top."""
        return MemoryState(
            torch.cat([value[..., None, :], state.values], -2),
            torch.cat([push[..., None], popped(state.strengths, pop)], -1),
        )

    def read(self, state: MemoryState) -> Tensor:
        """The top."""
        return recall(reading(state.strengths), state.values)
