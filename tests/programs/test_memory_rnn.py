"""The controller: interface of nn.LSTM, padding, packed sequences, hardening, traces."""

import warnings
from collections import deque
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from torchstone.nets.seeded import seeded
from torchstone.programs.memory import (
    LongSequenceWarning,
    Memory,
    MemoryRNN,
    NeuralDeque,
    NeuralQueue,
    NeuralStack,
    SuperpositionStack,
    Transducer,
    hardened,
)
from torchstone.programs.memory import rnn as rnn_module

MEMORIES = [NeuralStack(3), NeuralQueue(3), NeuralDeque(3), SuperpositionStack(3, empty=-1.0, top=2)]
LENGTHS = torch.tensor([4, 7, 1, 7])


def network(memory: Memory, *, cell: type[nn.RNNCellBase] = nn.LSTMCell, copies: int = 1, **kwargs: Any) -> MemoryRNN:
    """5 inputs, 6 hidden numbers, float64."""
    reads = copies * memory.read_width * (2 if memory.ends else 1)
    with seeded(0):
        return MemoryRNN(cell(5 + reads, 6), memory, copies=copies, batch_first=True, **kwargs).double()


def sequences(b: int = 4, t: int = 7) -> Tensor:
    return torch.randn(b, t, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def present() -> Tensor:
    return torch.arange(7) < LENGTHS[:, None]


def equations(net: MemoryRNN, x: Tensor) -> Tensor:
    """The paper's equations of the controller, for one stack or queue of one sequence, with the public step."""
    h, c = (part[None] for part in net.initial)
    state = net.memory.start(1, dtype=x.dtype)
    read = torch.zeros(1, net.memory.width).double()
    outputs = []
    for x_t in x:
        h, c = net.cell(torch.cat([x_t[None], read], -1), (h, c))
        d, u, *v = net.interface(h)[0]
        state, read = net.memory.step(state, torch.stack(v).tanh()[None], d.sigmoid()[None], u.sigmoid()[None])
        outputs.append(net.output(h).tanh()[0])
    return torch.stack(outputs)


@pytest.mark.parametrize("memory", MEMORIES[:2])
def test_it_computes_the_equations_of_the_paper(memory: Memory) -> None:
    net, x = network(memory), sequences(1)
    torch.testing.assert_close(net(x)[0][0], equations(net, x[0]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.GRUCell, nn.RNNCell])
def test_any_cell_works_any_memory_and_all_of_it_learns(memory: Memory, cell: type[nn.RNNCellBase]) -> None:
    net = network(memory, cell=cell, copies=2, output_size=9)
    output, state = net(sequences())
    assert output.shape == (4, 7, 9)
    assert (net.input_size, net.hidden_size) == (5, 9)
    assert state.memory.strengths.shape[:2] == (4, 2)
    output.square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


@pytest.mark.parametrize("memory", MEMORIES)
def test_time_first_is_the_same_transposed(memory: Memory) -> None:
    net, x = network(memory), sequences()
    expected, _ = net(x)
    net.batch_first = False
    assert torch.equal(net(x.transpose(0, 1))[0], expected.transpose(0, 1))


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("hard", [False, True])
def test_two_halves_are_the_whole(memory: Memory, hard: bool) -> None:
    net, x = network(memory), sequences()
    net.hard = hard
    whole, end = net(x)
    first, state = net(x[:, :3])
    second, state = net(x[:, 3:], state.detach())
    torch.testing.assert_close(torch.cat([first, second], 1), whole, rtol=0, atol=1e-12)
    torch.testing.assert_close(state.memory.strengths, end.memory.strengths, rtol=0, atol=1e-12)


@pytest.mark.parametrize("memory", MEMORIES)
def test_padding_changes_no_output_no_read_and_no_state(memory: Memory) -> None:
    net, x, mask = network(memory, copies=2), sequences(), present()
    output, state = net(x, mask=mask)
    assert (output[~mask] == 0).all()
    elsewhere, _ = net(x.masked_fill(~mask[..., None], torch.nan), mask=mask)
    assert torch.equal(output, elsewhere)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(elsewhere.sum(), list(net.parameters())))
    for i, length in enumerate(LENGTHS.tolist()):
        alone, end = net(x[i : i + 1, :length])
        torch.testing.assert_close(output[i, :length], alone[0], rtol=0, atol=1e-12)
        torch.testing.assert_close(net.memory.read(state.memory)[i], net.memory.read(end.memory)[0])
        torch.testing.assert_close(state.hidden[1][i], end.hidden[1][0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("sort", [True, False])
def test_a_packed_sequence_is_a_masked_one(batch_first: bool, sort: bool) -> None:
    net, x = network(NeuralDeque(3)), sequences()
    lengths = LENGTHS.sort(descending=True).values if sort else LENGTHS
    mask = torch.arange(7) < lengths[:, None]
    expected, after = net(x, mask=mask)
    net.batch_first = batch_first
    given = x if batch_first else x.transpose(0, 1)
    packed = pack_padded_sequence(given, lengths, batch_first=batch_first, enforce_sorted=sort)
    output, state = net(packed)
    assert torch.equal(output.batch_sizes, packed.batch_sizes)
    padded, found = pad_packed_sequence(output, batch_first=True)
    assert torch.equal(found, lengths)
    assert torch.equal(padded, expected)
    assert torch.equal(state.memory.strengths, after.memory.strengths)


def test_gradients_through_controller_and_memory() -> None:
    net, x = network(NeuralStack(3)), sequences(2, 4).requires_grad_()
    mask = torch.tensor([[True] * 4, [True, True, False, False]])
    assert torch.autograd.gradcheck(lambda x: net(x, mask=mask)[0], (x,))


@pytest.mark.parametrize("memory", MEMORIES)
def test_the_pop_bias_starts_at_minus_1_and_weights_follow_the_seed(memory: Memory) -> None:
    net, again, other = network(memory), network(memory), network(memory, seed=1)
    bias = net.interface.bias.view(-1, memory.logits + memory.width)
    assert (bias[:, 1] == (0 if isinstance(memory, SuperpositionStack) else -1)).all()
    assert torch.equal(net.output.weight, again.output.weight)
    assert not torch.equal(net.output.weight, other.output.weight)


@pytest.mark.parametrize("memory", MEMORIES[:2])
def test_hardened_it_is_the_automaton_that_its_trace_says(memory: Memory) -> None:
    """Its reads are those of collections.deque under the traced commands, and the soft network stays as it was."""
    net, x = network(memory), sequences(1, 30)
    with torch.no_grad():
        net.interface.weight.mul_(20)  # decided, now this way and now that
        net.interface.bias.zero_()
    soft = net(x)[0]
    hard = net.harden()
    trace = hard.trace(x[0])
    assert set(trace.push.unique().tolist()) == set(trace.pop.unique().tolist()) == {0.0, 1.0}
    held: deque[int] = deque()
    for step, (push, pop) in enumerate(zip(trace.push.flatten(), trace.pop.flatten(), strict=True)):
        if pop and held:
            held.popleft() if isinstance(memory, NeuralQueue) else held.pop()
        if push:
            held.append(step)
        at = trace.strengths[step, 0].nan_to_num()
        pushed_at = range(29, -1, -1) if isinstance(memory, NeuralStack) else range(30)
        assert sorted(held) == sorted(when for when, there in zip(pushed_at, at.tolist(), strict=True) if there)
    assert torch.equal(net(x)[0], soft)
    assert not torch.equal(hard(x)[0], soft)


def test_noise_moves_actions_in_training_alone_and_follows_the_seed() -> None:
    x = sequences()
    quiet, noisy = network(NeuralStack(3)), network(NeuralStack(3), noise=1.0)
    runs = []
    for seed in (0, 0, 1):
        with seeded(seed):
            runs.append(noisy(x)[0])
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    assert torch.equal(noisy.eval()(x)[0], quiet(x)[0])
    assert torch.equal(noisy.train().harden()(x)[0], quiet.harden()(x)[0])
    assert torch.equal(noisy.trace(x[0]).push, quiet.trace(x[0]).push)
    assert noisy.training
    for bad in (-1.0, torch.inf, torch.nan):
        with pytest.raises(ValueError, match="`noise` must be a standard deviation"):
            network(NeuralStack(3), noise=bad)


def test_whatever_contains_a_memory_can_be_hardened_and_nothing_else() -> None:
    model = Transducer(7, network(NeuralStack(3)).float())
    assert hardened(model).rnn.hard
    assert not model.rnn.hard
    with pytest.raises(ValueError, match="`model`, a Linear, contains no MemoryRNN"):
        hardened(nn.Linear(2, 2, device="meta"))


@pytest.mark.parametrize("memory", MEMORIES)
def test_a_trace_shows_what_happened_and_draws_itself_alike_each_time(memory: Memory) -> None:
    net, x = network(memory, copies=2), sequences(1, 6)
    trace = net.trace(x[0])
    ends = 2 if memory.ends else 1
    assert trace.push.shape == trace.pop.shape == (6, 2, ends)
    assert trace.strengths.shape == (6, 2, 6 * ends)
    total = net(x)[1].memory.strengths.sum(-1)[0]
    torch.testing.assert_close(trace.strengths[-1].nansum(-1), total.detach())
    assert not trace.strengths[-1].isnan().any()
    assert (trace.strengths[0].isnan().sum(-1) == 5 * ends).all()
    picture = trace.svg(list("abcdef"), copy=1, title="A trace")
    assert picture.startswith("<svg")
    assert picture == trace.svg(list("abcdef"), copy=1, title="A trace")
    assert len(trace.figure().axes) == 2 + ends


def test_a_row_of_a_trace_is_a_cell_for_life() -> None:
    """Without pops, each cell keeps the strength that it was pushed with."""
    for memory in MEMORIES[:3]:
        net = network(memory)
        with torch.no_grad():
            net.interface.bias.view(-1, 5)[:, 1] = -100.0
        trace = net.trace(sequences(1, 6)[0])
        filled = trace.strengths[:, 0].nan_to_num()
        for step in range(5):
            there = ~trace.strengths[step, 0].isnan()
            torch.testing.assert_close(filled[step + 1, there], filled[step, there])


@pytest.mark.parametrize(
    ("x", "kwargs", "message"),
    [
        (
            torch.zeros(4, 7, 6),
            {},
            r"`x` must be .* shape \(b, t, 5\), but has shape \(4, 7, 6\).* 8 inputs, .* takes 3",
        ),
        (torch.zeros(7, 5), {}, r"has shape \(7, 5\)"),
        (torch.zeros(4, 0, 5), {}, "one or more sequences"),
        (torch.zeros(4, 7, 5), {"mask": torch.ones(4, 7)}, r"`mask` must be boolean of shape \(4, 7\)"),
        (torch.zeros(4, 7, 5), {"mask": torch.ones(4, 6).bool()}, r"`mask` .* of shape \(4, 6\)"),
        (torch.zeros(4, 7, 5), {"state": network(NeuralStack(3)).start(3)}, "`state` is for a batch of 3"),
    ],
)
def test_bad_sequences_are_refused_in_words(x: Tensor, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        network(NeuralStack(3))(x.double(), **kwargs)


def test_bad_networks_are_refused_in_words() -> None:
    with pytest.raises(
        ValueError, match=r"`cell` takes 6 inputs, but 6 numbers are read .* input_size = 6 \+ the size"
    ):
        MemoryRNN(nn.LSTMCell(6, 4, device="meta"), NeuralDeque(3))
    with pytest.raises(TypeError, match=r"`cell`, a Linear, must say its sizes"):
        MemoryRNN(nn.Linear(6, 4, device="meta"), NeuralStack(3))
    with pytest.raises(ValueError, match="`copies` must be at least 1"):
        MemoryRNN(nn.LSTMCell(6, 4, device="meta"), NeuralStack(3), copies=0)
    net = network(NeuralStack(3))
    with pytest.raises(ValueError, match="must be None for a packed sequence"):
        net(pack_padded_sequence(sequences(), torch.full((4,), 7), batch_first=True), mask=torch.ones(4, 7).bool())
    with pytest.raises(ValueError, match=r"one sequence \(t, d\)"):
        net.trace(sequences())
    with pytest.raises(ValueError, match="`symbols` has 2 entries, but the trace 7 steps"):
        net.trace(sequences()[0]).figure(["a", "b"])
    with pytest.raises(ValueError, match="`copy` is 1, but there are 1 memories"):
        net.trace(sequences()[0]).figure(copy=1)
    with pytest.raises(ValueError, match="batch_first=True"):
        Transducer(3, nn.LSTM(3, 4, device="meta"))


def test_what_is_no_cell_or_no_memory_is_refused_in_words() -> None:
    for sequences_at_once in (nn.LSTM, nn.GRU):
        with pytest.raises(
            TypeError, match=r"one step at a time, but nn.(LSTM|GRU) takes sequences.* nn.(LSTM|GRU)Cell"
        ):
            MemoryRNN(sequences_at_once(8, 6, device="meta"), NeuralStack(3))
    with pytest.raises(TypeError, match="`memory` must be a memory such as NeuralStack"):
        MemoryRNN(nn.LSTMCell(8, 6, device="meta"), NeuralStack)  # type: ignore[arg-type]


def test_the_state_of_another_network_is_refused_in_words() -> None:
    net, x = network(NeuralStack(3)), sequences()
    with pytest.raises(TypeError, match=r"`state` must be what a MemoryRNN returned .* but is a tuple"):
        net(x, (torch.zeros(4, 6), torch.zeros(4, 6)))
    others = [network(NeuralStack(2)), network(NeuralStack(3), cell=nn.GRUCell), network(NeuralStack(3), copies=2)]
    for other in [*others, network(NeuralStack(3)).float()]:
        with pytest.raises(ValueError, match="`state` is of another network"):
            net(x, other.start(4))


def test_a_trace_in_bfloat16_is_drawn() -> None:
    net = network(NeuralStack(3)).bfloat16()
    assert net.trace(sequences(1, 3)[0].bfloat16()).figure().axes


def test_cells_that_are_carried_over_count_for_the_gigabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = network(NeuralStack(3)), sequences()
    _, state = net(x)
    monkeypatch.setattr(rnn_module, "MUCH", 4 * 3 * 8 * (7 * 7 + 7 * 7 // 2) - 1)
    with pytest.warns(LongSequenceWarning):
        net(x, state.detach())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(x)


def test_gradients_that_will_take_gigabytes_are_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rnn_module, "MUCH", 4 * 3 * 8 * 7 * 7 // 2 - 1)  # b m bytes t t / 2
    net = network(NeuralStack(3))
    with pytest.warns(LongSequenceWarning, match="through 7 steps") as caught:
        net(sequences())
    assert caught[0].filename == __file__
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error")
        net(sequences())


@pytest.mark.parametrize("memory", MEMORIES)
def test_nan_comes_out_as_nan_from_there_on(memory: Memory) -> None:
    x = sequences()
    x[1, 3] = torch.nan
    net = network(memory)
    for output in (net(x)[0], net.harden()(x)[0]):
        assert torch.equal(output.isnan().any(-1)[1], torch.arange(7) >= 3)
        assert not output[[0, 2, 3]].isnan().any()


def test_words_in_words_out_with_and_without_a_memory() -> None:
    words = torch.tensor([[1, 2, 3], [3, 0, 0]])
    with seeded(0):
        plain = nn.LSTM(5, 6, batch_first=True)
    for rnn in (plain, network(NeuralQueue(3)).float()):
        model = Transducer(4, rnn)
        assert model(words).shape == (2, 3, 4)
        torch.testing.assert_close(model(words)[1, :1], model(words[1:, :1])[0])
