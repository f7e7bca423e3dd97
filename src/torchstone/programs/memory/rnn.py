"""A recurrent network with a memory: a controller that pushes, pops and reads."""

import math
import warnings
from collections.abc import Iterator
from copy import deepcopy
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from torchstone.nets.seeded import seeded
from torchstone.programs.memory.controller import Moment, RNNState, advance, check_carried, first_state, sizes
from torchstone.programs.memory.inputs import check_mask, check_noise, check_size
from torchstone.programs.memory.memory import Memory
from torchstone.programs.memory.trace import Trace, trace_of
from torchstone.training import evaluating

MUCH = 2**31  # bytes for gradients, from which on a forward pass warns

Model = TypeVar("Model", bound=nn.Module)


class LongSequenceWarning(UserWarning):
    """So long a sequence that its gradients take gigabytes: the cells of all steps are kept, a square in time."""


class MemoryRNN(nn.Module):
    r"""A recurrent cell that works a memory, with the interface of ``nn.LSTM``.

    .. math:: o'_t, h_t = \mathrm{cell}([x_t; r_{t-1}], h_{t-1}), \quad d_t = \sigma(W_d o'_t + b_d), \quad
              u_t = \sigma(W_u o'_t + b_u), \quad v_t = \tanh(W_v o'_t + b_v), \quad o_t = \tanh(W_o o'_t + b_o)

    :math:`b_u` starts at -1, so that what is pushed stays for a while; the first state :math:`h_0` is learned. Steps
    depend on the read before, so they go one after the other; a step costs O(t m), and gradients keep O(T² m) numbers.

    Args:
        cell: a recurrent cell with ``input_size`` and ``hidden_size``, such as ``nn.LSTMCell``. It must take the input
            and the read together: ``input_size`` = input + ``copies`` x numbers read (``memory.width``; a deque reads
            twice that).
        memory: what it works.
        output_size: numbers in the output :math:`o_t`; ``cell.hidden_size``.
        copies: how many such memories there are side by side, each with actions and values of its own.
        noise: standard deviation of normal noise on the numbers that become actions, in training mode alone. It makes
            half-hearted actions costly, which favours whole ones, and these last over any length. 1 is much; it may be
            raised in the course of training. Like dropout it draws from torch's global generators, which ``fit`` seeds.
        batch_first: whether sequences are (b, t, d) instead of (t, b, d), as in ``nn.LSTM``.
        seed: of the initial weights, those of the cell aside.

    Attributes:
        input_size: numbers in an input :math:`x_t`.
        hidden_size: numbers in an output.
        hard: whether actions are rounded to {0, 1}; see :meth:`harden`.
        noise: as above; may be changed at any time.

    Raises:
        TypeError: ``cell`` takes whole sequences, as ``nn.LSTM`` does, or doesn't say its sizes; no memory.
        ValueError: the cell has no room for an input beside what is read; a size below 1; negative noise.

    >>> from torchstone.programs.memory import NeuralStack
    >>> with seeded(0):
    ...     cell = nn.LSTMCell(5 + 8, 16)
    >>> rnn = MemoryRNN(cell, NeuralStack(8), batch_first=True)
    >>> output, state = rnn(torch.ones(2, 7, 5))
    >>> output.shape, state.memory.strengths.shape           # (b, t, h), and (b, copies, cells)
    (torch.Size([2, 7, 16]), torch.Size([2, 1, 7]))

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, section 3.4 and appendix B; with a
        :class:`SuperpositionStack`, Joulin, Mikolov 2015, arXiv:1503.01007, section 3.2.
    Differs from the paper: ``noise`` is an addition, after Salakhutdinov and Hinton's semantic hashing (2009). Joulin
        and Mikolov's network is a plain recurrent cell whose state is the output; here the cell is the one that is
        given, and its state passes a tanh layer.
    """

    def __init__(
        self,
        cell: nn.Module,
        memory: Memory,
        *,
        output_size: int | None = None,
        copies: int = 1,
        noise: float = 0.0,
        batch_first: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_size("copies", copies)
        check_noise(noise)
        self.input_size, hidden, self.reads = sizes(cell, memory, copies)
        self.hidden_size = hidden if output_size is None else output_size
        check_size("output_size", self.hidden_size)
        self.cell, self.memory, self.copies, self.batch_first, self.hard = cell, memory, copies, batch_first, False
        self.noise = noise
        memories = copies * math.prod(memory.ends)
        with seeded(seed), torch.no_grad():
            self.interface = nn.Linear(hidden, memories * (memory.logits + memory.width))
            self.output = nn.Linear(hidden, self.hidden_size)
            self.initial = nn.ParameterList(first_state(cell, self.input_size + self.reads, hidden))
            self.interface.bias.view(memories, -1)[:, 1] = memory.pop_bias
        self.to(next(cell.parameters()))

    def forward(
        self,
        x: Float[Tensor, "b t d"] | PackedSequence,
        state: RNNState | None = None,
        *,
        mask: Bool[Tensor, "b t"] | None = None,
    ) -> tuple[Float[Tensor, "b t h"] | PackedSequence, RNNState]:
        """Run over sequences.

        Args:
            x: inputs, (t, b, d), (b, t, d) with ``batch_first``, or packed. NaN comes out as NaN, as in ``nn.LSTM``.
            state: where to begin; ``None`` for the learned start and an empty memory.
            mask: (t, b) or (b, t) like ``x``, False at padding: there nothing moves, and the output is 0. A packed
                sequence has its own.

        Returns:
            Outputs like ``x``, and the state after the last step of each sequence.

        Raises:
            TypeError: ``state`` is no :class:`RNNState`.
            ValueError: ``x`` is of another shape or has no step; ``mask`` or ``state`` don't fit it.

        Warns:
            LongSequenceWarning: the gradients will take more than 2 GiB.
        """
        if isinstance(x, PackedSequence):
            return self._packed(x, state, mask)
        self._check(x, state, mask)
        time = 1 if self.batch_first else 0
        state = self.start(x.shape[1 - time]) if state is None else state
        x = x if mask is None else x.masked_fill(~mask[..., None], 0)  # a NaN in padding would reach the gradients
        outputs = []
        for moment in self._walk(x, state, mask):
            outputs.append(moment.state.hidden[0])
        output = self.output(torch.stack(outputs, time)).tanh()
        return (output if mask is None else output.masked_fill(~mask[..., None], 0)), moment.state

    def start(self, batch: int) -> RNNState:
        """The learned first state, and an empty memory, for a batch of sequences."""
        hidden = tuple(part.expand(batch, -1) for part in self.initial)
        return RNNState(hidden, self.memory.start(batch, self.copies, dtype=hidden[0].dtype, device=hidden[0].device))

    def harden(self) -> "MemoryRNN":
        """The discrete automaton that was learned: a copy that rounds its pushes and pops to {0, 1}.

        With whole actions the memory is an ordinary stack, queue or deque: nothing fades, however long the sequence.
        Each push and pop is rounded by itself, so a network that relies on half-hearted ones becomes another program:
        one that pushed its start mark by 0.54 pushes all of it and may be right no more. Look at :meth:`trace`.
        No gradient reaches the actions any more. :func:`hardened` does it for networks that contain such ones.
        """
        return hardened(self)

    def trace(self, x: Float[Tensor, "t d"]) -> Trace:
        """What the controller does with its memory, step by step, on one sequence.

        Args:
            x: one sequence of inputs, (t, d).

        Returns:
            Pushes, pops and strengths, which can be drawn: ``rnn.trace(x).figure()``.

        Raises:
            ValueError: ``x`` is no single sequence, or of another width.
        """
        if x.ndim != 2:
            raise ValueError(f"`x` must be one sequence (t, d), but has shape {tuple(x.shape)}. Take one: x[0].")
        one = x[None] if self.batch_first else x[:, None]
        self._check(one, None, None)
        with torch.no_grad(), evaluating(self):
            moments = list(self._walk(one, self.start(1), None))
        return trace_of(self.memory, [(at.state.memory, at.push, at.pop) for at in moments])

    def _walk(self, x: Tensor, state: RNNState, mask: Tensor | None) -> Iterator[Moment]:
        """All steps, one after the other."""
        time = 1 if self.batch_first else 0
        inputs = x.unbind(time)
        present = [None] * len(inputs) if mask is None else mask.unbind(time)
        for x_t, here in zip(inputs, present, strict=True):
            moment = self._step(x_t, state, here)
            state = moment.state
            yield moment

    def _step(self, x: Tensor, state: RNNState, here: Tensor | None) -> Moment:
        """Read, think, pop and push; where nothing is ``here``, all stays as it was."""
        read = self.memory.read(state.memory).flatten(1)
        hidden = advance(self.cell, torch.cat([x, read], -1), state.hidden)
        if here is not None:
            hidden = tuple(torch.where(here[:, None], new, old) for new, old in zip(hidden, state.hidden, strict=True))
        push, pop, value = self._act(hidden[0])
        if here is not None:
            push, pop = (action * here.view(-1, *[1] * (action.ndim - 1)) for action in (push, pop))
        return Moment(RNNState(hidden, self.memory.move(state.memory, value, push, pop)), push, pop)

    def _act(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Push, pop and value, from the state of the cell."""
        raw = self.interface(hidden).view(len(hidden), self.copies, *self.memory.ends, -1)
        logits, value = raw.split([self.memory.logits, self.memory.width], -1)
        if self.noise and self.training and not self.hard:
            logits = logits + self.noise * torch.randn_like(logits)
        push, pop = self.memory.decide(logits)
        if self.hard:
            push, pop = self.memory.rounded(push, pop)
        return push, pop, self.memory.content(value)

    def _packed(
        self, x: PackedSequence, state: RNNState | None, mask: Tensor | None
    ) -> tuple[PackedSequence, RNNState]:
        """The same for packed sequences, which come back packed alike."""
        if mask is not None:
            raise ValueError("`mask` must be None for a packed sequence, which knows its lengths itself.")
        padded, lengths = pad_packed_sequence(x, batch_first=self.batch_first)
        mask = torch.arange(int(lengths.max()))[None] < lengths[:, None]
        mask = (mask if self.batch_first else mask.T).to(padded.device)
        output, after = self(padded, state, mask=mask)
        order = torch.arange(len(lengths)) if x.sorted_indices is None else x.sorted_indices
        ordered = output.index_select(0 if self.batch_first else 1, order.to(output.device))
        packed = pack_padded_sequence(ordered, lengths[order.cpu()], batch_first=self.batch_first)
        return PackedSequence(packed.data, x.batch_sizes, x.sorted_indices, x.unsorted_indices), after

    def _check(self, x: Tensor, state: RNNState | None, mask: Tensor | None) -> None:
        shape = f"({'b, t' if self.batch_first else 't, b'}, {self.input_size})"
        if x.ndim != 3 or x.shape[-1] != self.input_size or not x.numel():
            raise ValueError(
                f"`x` must be one or more sequences of shape {shape}, but has shape {tuple(x.shape)}. Of the cell's "
                f"{self.input_size + self.reads} inputs, what is read takes {self.reads}."
            )
        b, t = x.shape[:2] if self.batch_first else (x.shape[1], x.shape[0])
        if state is not None:
            check_carried(state, self.start(b))
        if mask is not None:
            check_mask(mask, x.shape[:2])
        if torch.is_grad_enabled():
            carried = 0 if state is None else state.memory.strengths.shape[-1]
            self._warn_of_memory(b, t, carried, x.element_size())

    def _warn_of_memory(self, b: int, t: int, carried: int, item: int) -> None:
        twice_cells = 2 * carried * t + math.prod(self.memory.ends) * t * t  # of all steps together
        kept = b * self.copies * self.memory.width * item * twice_cells // 2
        if kept > MUCH:
            warnings.warn(
                f"Gradients through {t} steps keep the cells of every step, about {kept / 2**30:.0f} GiB. Cut the "
                "sequence and pass on state.detach() (truncated backpropagation), or run under torch.no_grad().",
                LongSequenceWarning,
                stacklevel=6,
            )


def hardened(model: Model) -> Model:
    """A copy of a network in which every :class:`MemoryRNN` rounds its pushes and pops to {0, 1}.

    Args:
        model: any module; a :class:`MemoryRNN`, or what contains some.

    Raises:
        ValueError: there is none in it.

    >>> from torchstone.programs.memory import NeuralQueue
    >>> with seeded(0):
    ...     rnn = MemoryRNN(nn.GRUCell(3 + 4, 8), NeuralQueue(4))
    >>> with torch.no_grad():
    ...     rnn.interface.bias[0] = 2.0                          # push more often than not
    ...     hardened(rnn)(torch.ones(4, 1, 3))[1].memory.strengths
    tensor([[[1., 1., 1., 1.]]])
    """
    copy = deepcopy(model)
    found = [module for module in copy.modules() if isinstance(module, MemoryRNN)]
    if not found:
        raise ValueError(f"`model`, a {type(model).__name__}, contains no MemoryRNN: there are no actions to round.")
    for module in found:
        module.hard = True
    return copy
