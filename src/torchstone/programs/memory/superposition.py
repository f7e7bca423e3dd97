"""The superposition stack: an average over the stacks that each action would have left."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import one_hot, pad

from torchstone.programs.memory.inputs import check_size
from torchstone.programs.memory.memory import Memory, MemoryState


@dataclass(frozen=True)
class SuperpositionStack(Memory):
    r"""A stack that, after each action, is the mean of pushed, popped and untouched stack, by the actions' weights.

    .. math:: s'_0 = d\, v + u\, s_1 + (1 - d - u)\, s_0, \qquad s'_i = d\, s_{i-1} + u\, s_{i+1} + (1 - d - u)\, s_i

    A cell is a mean of pushed values and of ``empty``, so it never leaves their convex hull. With whole actions this is
    an ordinary stack. The ``strengths`` of the state say how much of each cell is not ``empty``.

    Args:
        width: m, numbers in a value. For several stacks with actions of their own: ``MemoryRNN(..., copies=)``.
        depth: how many cells there may be; ``None`` for one more at each step. A push that would move anything out of
            the last cell is an error. As a weak push moves a little into each cell, this suits whole actions best.
        noop: whether a controller may also do nothing; without it, pushes and pops add up to 1.
        empty: what an empty cell holds; the paper's is -1.
        top: how many cells are read, topmost first, in a row.

    Raises:
        ValueError: from :meth:`step`, also where push + pop exceeds 1, or the stack is full.

    >>> stack = SuperpositionStack(width=1, top=2)
    >>> state, _ = stack.step(stack.start(), torch.tensor([4.0]), torch.tensor(1.0), torch.tensor(0.0))
    >>> stack.step(state, torch.tensor([8.0]), torch.tensor(0.5), torch.tensor(0.25))[1]     # 8/2 + 0/4 + 4/4, 4/2
    tensor([5., 2.])

    Paper: Joulin, Mikolov 2015, arXiv:1503.01007, section 3.2, "stack" and "stack with no-op".
    Differs from the paper: values are vectors; empty cells hold 0 unless ``empty`` says otherwise.
    """

    depth: int | None = None
    noop: bool = True
    empty: float = 0.0
    top: int = 1

    pop_bias: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_size("top", self.top)
        if self.depth is not None:
            check_size("depth", self.depth)

    @property
    def logits(self) -> int:
        """Push, pop and, with ``noop``, nothing."""
        return 3 if self.noop else 2

    @property
    def read_width(self) -> int:
        """``top`` cells in a row."""
        return self.top * self.width

    def step(
        self,
        state: MemoryState,
        value: Float[Tensor, "*batch m"],
        push: Float[Tensor, "*batch"],
        pop: Float[Tensor, "*batch"],
    ) -> tuple[MemoryState, Float[Tensor, "*batch r"]]:
        """Push, pop and do nothing, each by its weight; then read. As :meth:`Memory.step`, with push + pop <= 1."""
        after = super().step(state, value, push, pop)
        total = push + pop
        if (total > 1 + 4 * torch.finfo(push.dtype).eps).any():
            raise ValueError(
                f"`push` and `pop` must add up to at most 1 in a superposition stack, but add up to {total.max():g}. "
                "Make them by a softmax, as memory.decide(logits) does."
            )
        return after

    def move(self, state: MemoryState, value: Tensor, push: Tensor, pop: Tensor) -> MemoryState:
        """The mean of the three stacks."""
        values = mean_stack(state.values, value, push, pop, self.empty)
        strengths = mean_stack(state.strengths[..., None], torch.ones_like(value[..., :1]), push, pop, 0.0)[..., 0]
        if self.depth is not None and strengths.shape[-1] > self.depth:
            values, strengths = values[..., : self.depth, :], self._within(strengths)
        return MemoryState(values, strengths)

    def read(self, state: MemoryState) -> Tensor:
        """The topmost cells."""
        missing = max(0, self.top - state.values.shape[-2])
        return pad(state.values[..., : self.top, :], (0, 0, 0, missing), value=self.empty).flatten(-2)

    def decide(self, logits: Float[Tensor, "*batch k"]) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """Push and pop by a softmax over all actions."""
        push, pop = logits.softmax(-1)[..., :2].unbind(-1)
        return push, pop

    def rounded(
        self, push: Float[Tensor, "*batch"], pop: Float[Tensor, "*batch"]
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch"]]:
        """The action of the largest weight. No gradient passes."""
        weights = torch.stack([push, pop, 1 - push - pop], -1)
        hard_push, hard_pop, _ = one_hot(weights.argmax(-1), 3).to(push.dtype).unbind(-1)
        return hard_push, hard_pop

    def content(self, raw: Tensor) -> Tensor:
        """What is pushed, from numbers of any size: their sigmoid."""
        return raw.sigmoid()

    def _within(self, strengths: Tensor) -> Tensor:
        """The strengths of the cells that there may be, if nothing is in the others."""
        lost = float(strengths[..., self.depth :].max())
        if lost != 0:
            raise ValueError(
                f"The stack is full: `depth` is {self.depth}, but a push moved {lost:g} of a value out of it. "
                "Raise `depth`, or leave it at None."
            )
        return strengths[..., : self.depth]


def mean_stack(
    cells: Float[Tensor, "*batch n m"],
    value: Float[Tensor, "*batch m"],
    push: Float[Tensor, "*batch"],
    pop: Float[Tensor, "*batch"],
    empty: float,
) -> Float[Tensor, "*batch n+1 m"]:
    """The mean of the stack after a push, after a pop, and as it is, from the top down."""
    d, u = push[..., None, None], pop[..., None, None]
    pushed = torch.cat([value[..., None, :], cells], -2)
    untouched = pad(cells, (0, 0, 0, 1), value=empty)
    shorter = pad(cells, (0, 0, 0, 2), value=empty)[..., 1:, :]
    return d * pushed + u * shorter + (1 - d - u) * untouched
