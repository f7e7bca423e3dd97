"""The neural deque: pushes, pops and reads at both ends."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from torchstone.programs.memory.memory import Memory, MemoryState
from torchstone.programs.memory.strengths import popped, reading


@dataclass(frozen=True)
class NeuralDeque(Memory):
    r"""A double-ended queue whose every action is differentiable; with whole pushes and pops it is an ordinary deque.

    As :class:`NeuralStack` at each of two ends: the top, index 0 of values, pushes, pops and reads, and the bottom,
    index 1. A step pops from the top, then from the bottom of what is left, then pushes at both ends and reads both:

    .. math:: s^{top}_i = \max\Big(0, s_i - \max\Big(0, u^{top} - \sum_{j \text{ above } i} s_j\Big)\Big), \quad
              s^{both}_i = \max\Big(0, s^{top}_i - \max\Big(0, u^{bot} - \sum_{j \text{ below } i} s^{top}_j\Big)\Big)

    Used at one end it is a stack; pushed at the top and popped at the bottom it is a queue.

    Args:
        width: m, numbers in a value.

    >>> deque = NeuralDeque(width=1)
    >>> both, top, bottom, none = torch.tensor([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    >>> state, _ = deque.step(deque.start(), torch.tensor([[1.0], [2.0]]), push=both, pop=none)      # top 1, 2 bottom
    >>> state, read = deque.step(state, torch.tensor([[3.0], [0.0]]), push=top, pop=bottom)          # top 3, 1 bottom
    >>> read
    tensor([[3.],
            [1.]])

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, equations 6 to 11.
    Differs from the paper: cells are listed from the top down. The slips of equations 7 and 8 are mended: before the
        pops there are 2(t - 1) cells, so the sum above cell i runs to 2(t - 1), not to 2(t - 1) - 1; the equations hold
        for all i up to and including 2(t - 1); and the sum of equation 8 runs over j, not over i.
    """

    ends: ClassVar[tuple[int, ...]] = (2,)
    grows: ClassVar[tuple[bool, bool]] = (True, True)

    def move(self, state: MemoryState, value: Tensor, push: Tensor, pop: Tensor) -> MemoryState:
        """Pop from the top, pop from the bottom, push at both ends."""
        left = popped(state.strengths, pop[..., 0])
        left = popped(left.flip(-1), pop[..., 1]).flip(-1)
        return MemoryState(
            torch.cat([value[..., :1, :], state.values, value[..., 1:, :]], -2),
            torch.cat([push[..., :1], left, push[..., 1:]], -1),
        )

    def read(self, state: MemoryState) -> Tensor:
        """The top and the bottom."""
        top, bottom = reading(state.strengths), reading(state.strengths.flip(-1)).flip(-1)
        return torch.stack([top, bottom], -2) @ state.values
