"""What every memory is: a state, how an action moves it, what is read from it, and how a controller decides."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.programs.memory.inputs import check_action, check_size, check_state


class MemoryState(NamedTuple):
    """All that a memory holds: values (..., n, m) of its n cells, and how much of each is there, (..., n)."""

    values: Float[Tensor, "*batch n m"]
    strengths: Float[Tensor, "*batch n"]

    def detach(self) -> "MemoryState":
        """The same state without its history: for truncated backpropagation through time."""
        return MemoryState(self.values.detach(), self.strengths.detach())


@dataclass(frozen=True)
class Memory(ABC):
    """A differentiable data structure: pure functions of a state, without parameters.

    A memory of one's own says how a push and a pop ``move`` the state and what is ``read`` from it. The rest is for the
    controller of a :class:`MemoryRNN`: how its numbers become actions and values.
    """

    width: int

    ends: ClassVar[tuple[int, ...]] = ()
    """``(2,)`` for a structure with two ends, each with a value, a push, a pop and a read of its own."""
    grows: ClassVar[tuple[bool, bool]] = (False, True)
    """Whether a step adds a cell in front of those in the state, and behind them."""
    pop_bias: ClassVar[float] = -1.0
    """Where a controller begins: what is pushed should stay for a while, or no gradient says that it was of use."""

    def __post_init__(self) -> None:
        check_size("width", self.width)

    @property
    def read_width(self) -> int:
        """How many numbers are read at each end."""
        return self.width

    @property
    def logits(self) -> int:
        """From how many numbers :meth:`decide` makes a push and a pop."""
        return 2

    def start(
        self, *batch: int, dtype: torch.dtype | None = None, device: torch.device | str | None = None
    ) -> MemoryState:
        """The empty memory, one for each element of a batch of any shape.

        Args:
            *batch: the shape of the batch; none for a single memory.
            dtype: of the values; torch's default.
            device: of the values; torch's default.

        Returns:
            A state of n = 0 cells.
        """
        return MemoryState(
            torch.zeros(*batch, 0, self.width, dtype=dtype, device=device),
            torch.zeros(*batch, 0, dtype=dtype, device=device),
        )

    def step(
        self,
        state: MemoryState,
        value: Float[Tensor, "*batch m"],
        push: Float[Tensor, "*batch"],
        pop: Float[Tensor, "*batch"],
    ) -> tuple[MemoryState, Float[Tensor, "*batch m"]]:
        r"""Pop, then push, then read; the state that was given stays as it is.

        Where :math:`u = d = 0` nothing changes and the same is read again: that is how padding is left out.

        Args:
            state: of :meth:`start` or of the step before; it grows by a cell.
            value: :math:`v`, (..., m), what is pushed. A deque takes one for each end, (..., 2, m).
            push: :math:`d \in [0, 1]`, (...), how much of it; a deque: (..., 2).
            pop: :math:`u \in [0, 1]`, (...), how much goes before; a deque: (..., 2).

        Returns:
            The new state, and :math:`r`, (..., m), what is read; a deque: (..., 2, m).

        Raises:
            TypeError: an argument is no floating-point tensor, or their dtypes or devices differ.
            ValueError: a push or pop outside [0, 1] or NaN, a value that is not finite, or shapes that don't fit.
        """
        check_state(state, self.width)
        check_action(state, value, push, pop, self.ends)
        state = self.move(state, value, push, pop)
        return state, self.read(state)

    @abstractmethod
    def move(self, state: MemoryState, value: Tensor, push: Tensor, pop: Tensor) -> MemoryState:
        """The state after a pop and a push; as in :meth:`step`, but nothing is checked."""

    @abstractmethod
    def read(self, state: MemoryState) -> Tensor:
        """What is read from a state, (..., read_width), or (..., 2, read_width) from two ends."""

    def decide(self, logits: Float[Tensor, "*batch k"]) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Push and pop, each the sigmoid of a number."""
        push, pop = logits.sigmoid().unbind(-1)
        return push, pop

    def rounded(
        self, push: Float[Tensor, "*batch"], pop: Float[Tensor, "*batch"]
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """The nearest actions that an ordinary data structure knows: 0 or 1. No gradient passes."""
        return push.round(), pop.round()

    def content(self, raw: Tensor) -> Tensor:
        """What is pushed, from numbers of any size: their tanh."""
        return raw.tanh()
