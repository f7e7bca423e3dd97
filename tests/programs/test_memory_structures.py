"""Stack, queue, deque and superposition stack against collections.deque, a loop over the equations, and their laws."""

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.programs.memory import Memory, MemoryState, NeuralDeque, NeuralQueue, NeuralStack, SuperpositionStack

STRATIFIED = [NeuralStack, NeuralQueue, NeuralDeque]
EVERY = [*STRATIFIED, SuperpositionStack]
NEAR = {"rtol": 0.0, "atol": 1e-12}


def actions(memory: Memory, *shape: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Values, pushes and pops in the interior of what is allowed, in float64; ``shape`` begins with the steps."""
    generator = torch.Generator().manual_seed(seed)
    value = torch.randn(*shape, *memory.ends, memory.width, generator=generator, dtype=torch.float64)
    push, pop = memory.decide(torch.randn(*shape, *memory.ends, memory.logits, generator=generator).double())
    return value, push, pop


def doubles(numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def run(memory: Memory, value: Tensor, push: Tensor, pop: Tensor) -> tuple[list[MemoryState], Tensor]:
    state = memory.start(*push.shape[1 : push.ndim - len(memory.ends)], dtype=value.dtype)
    states, reads = [], []
    for at in range(len(push)):
        state, read = memory.step(state, value[at], push[at], pop[at])
        states.append(state)
        reads.append(read)
    return states, torch.stack(reads)


# Whole actions: an ordinary data structure.


def ordinary(memory: Memory, value: Any, push: Any, pop: Any) -> list[list[float]]:
    """What collections.deque gives for the same commands: the tops after each step (two for a deque), 0 when empty."""
    held: deque[float] = deque()  # the top at the right
    reads = []
    for v, d, u in zip(value, push, pop, strict=True):
        if isinstance(memory, NeuralDeque):
            if u[0] and held:
                held.pop()
            if u[1] and held:
                held.popleft()
            if d[0]:
                held.append(v[0])
            if d[1]:
                held.appendleft(v[1])
            reads.append([held[-1], held[0]] if held else [0.0, 0.0])
            continue
        front = isinstance(memory, NeuralQueue)
        if u and held:
            held.popleft() if front else held.pop()
        if d:
            held.append(v)
        reads.append([held[0 if front else -1] if held else 0.0])
    return reads


@pytest.mark.parametrize("kind", EVERY)
def test_whole_actions_are_collections_deque_exactly_on_1000_sequences(kind: type[Memory]) -> None:
    memory, steps, n = kind(1), 24, 1000
    generator = torch.Generator().manual_seed(0)
    push = torch.randint(2, (steps, n, *memory.ends), generator=generator).double()
    pop = torch.randint(2, (steps, n, *memory.ends), generator=generator).double()
    if kind is SuperpositionStack:  # one action at a time
        pop = pop * (1 - push)
    value = torch.arange(1.0, push.numel() + 1).double().view(*push.shape, 1)
    states, reads = run(memory, value, push, pop)
    for one in range(n):
        expected = ordinary(memory, value[:, one, ..., 0].tolist(), push[:, one].tolist(), pop[:, one].tolist())
        assert reads[:, one].flatten(1).tolist() == expected
    assert set(states[-1].strengths.unique().tolist()) == {0.0, 1.0}


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_a_deque_of_whole_actions_holds_what_collections_deque_holds(commands: list[tuple[bool, ...]]) -> None:
    push = doubles([c[:2] for c in commands])
    pop = doubles([c[2:] for c in commands])
    value = torch.arange(2.0 * len(commands)).double().view(-1, 2, 1)
    states, _ = run(NeuralDeque(1), value, push, pop)
    held: deque[float] = deque()
    for v, d, u in zip(value[..., 0].tolist(), push.tolist(), pop.tolist(), strict=True):
        for end, take in ((0, held.pop), (1, held.popleft)):
            if u[end] and held:
                take()
        if d[0]:
            held.append(v[0])
        if d[1]:
            held.appendleft(v[1])
    there = states[-1].strengths == 1
    assert states[-1].values[there][:, 0].tolist() == list(held)[::-1]


# The equations, cell by cell, as they are printed (slips mended).


def looped(memory: Memory, value: Tensor, push: Tensor, pop: Tensor) -> list[list[Tensor]]:
    """Rows in the paper's order, bottom first; plain numbers, sums over j written out."""
    rows: list[Tensor] = []
    strengths: list[float] = []
    out = []

    def pop_from(s: list[float], u: float, ahead: Callable[[int], range]) -> list[float]:
        return [max(0.0, s[i] - max(0.0, u - sum(s[j] for j in ahead(i)))) for i in range(len(s))]

    def read_from(s: list[float], ahead: Callable[[int], range]) -> Tensor:
        parts = [min(s[i], max(0.0, 1 - sum(s[j] for j in ahead(i)))) * rows[i] for i in range(len(s))]
        return torch.stack(parts).sum(0)

    for v, d, u in zip(value, push.tolist(), pop.tolist(), strict=True):
        above: Callable[[int], range] = lambda i: range(i + 1, len(strengths))  # noqa: E731, B023
        below: Callable[[int], range] = lambda i: range(i)  # noqa: E731
        if isinstance(memory, NeuralDeque):
            strengths = pop_from(strengths, u[0], above)
            strengths = pop_from(strengths, u[1], below)
            rows, strengths = [v[1], *rows, v[0]], [d[1], *strengths, d[0]]
            out.append([read_from(strengths, above), read_from(strengths, below)])
            continue
        side = below if isinstance(memory, NeuralQueue) else above
        strengths = [*pop_from(strengths, u, side), d]
        rows = [*rows, v]
        out.append([read_from(strengths, side)])
    return out


@pytest.mark.parametrize("kind", STRATIFIED)
def test_all_cells_at_once_give_what_a_loop_over_the_equations_gives(kind: type[Memory]) -> None:
    memory = kind(3)
    value, push, pop = actions(memory, 60)
    _, reads = run(memory, value, push, pop)
    expected = torch.stack([torch.stack(ends) for ends in looped(memory, value, push, pop)])
    torch.testing.assert_close(reads.view_as(expected), expected, **NEAR)


def test_a_superposition_stack_gives_what_a_loop_over_its_equations_gives() -> None:
    memory = SuperpositionStack(2, empty=-1.0)
    value, push, pop = actions(memory, 30)
    cells = [torch.full((2,), -1.0).double() for _ in range(40)]
    _, reads = run(memory, value, push, pop)
    for at, (d, u) in enumerate(zip(push, pop, strict=True)):
        stay = 1 - d - u
        below = [*cells[1:], cells[-1]]
        above = [value[at], *cells[:-1]]
        cells = [d * a + u * b + stay * c for a, b, c in zip(above, below, cells, strict=True)]
        torch.testing.assert_close(reads[at], cells[0], **NEAR)


def test_the_example_of_the_papers_first_figure() -> None:
    push, pop = doubles([0.8, 0.5, 0.9]), doubles([0.0, 0.1, 0.9])
    states, reads = run(NeuralStack(3), torch.eye(3).double(), push, pop)
    for state, expected in zip(states, ([0.8], [0.7, 0.5], [0.3, 0.0, 0.9]), strict=True):
        torch.testing.assert_close(state.strengths.flip(-1), doubles(expected), **NEAR)
    expected_reads = doubles([[0.8, 0, 0], [0.5, 0.5, 0], [0.1, 0, 0.9]])
    torch.testing.assert_close(reads, expected_reads, **NEAR)


# Laws.


@given(st.integers(0, 10**6))
def test_what_is_popped_is_gone_and_no_more_than_there_was(seed: int) -> None:
    for kind in (NeuralStack, NeuralQueue):
        value, push, pop = actions(kind(2), 12, 3, seed=seed)
        states, reads = run(kind(2), value, push, pop)
        total = torch.zeros(3).double()
        for state, d, u in zip(states, push, pop, strict=True):
            total = (total - u).clamp(min=0) + d
            torch.testing.assert_close(state.strengths.sum(-1), total, **NEAR)
            assert (state.strengths >= 0).all()
        ones, _ = run(kind(2), torch.ones_like(value), push, pop)
        read = kind(2).read(ones[-1])[:, 0]
        torch.testing.assert_close(read, total.clamp(max=1), **NEAR)  # a read takes 1 in all, or what there is
        assert reads.isfinite().all()


@given(st.integers(0, 10**6))
def test_a_deque_loses_what_both_ends_pop(seed: int) -> None:
    value, push, pop = actions(NeuralDeque(1), 12, seed=seed)
    states, _ = run(NeuralDeque(1), value, push, pop)
    total = torch.zeros(()).double()
    for state, d, u in zip(states, push, pop, strict=True):
        total = ((total - u[0]).clamp(min=0) - u[1]).clamp(min=0) + d.sum()
        torch.testing.assert_close(state.strengths.sum(), total, **NEAR)


@given(st.integers(0, 10**6), st.booleans())
def test_a_deque_at_one_end_is_a_stack(seed: int, bottom: bool) -> None:
    value, push, pop = actions(NeuralStack(2), 15, 2, seed=seed)
    _, expected = run(NeuralStack(2), value, push, pop)
    at_one_end = [torch.stack([x, torch.zeros_like(x)][:: -1 if bottom else 1], 2) for x in (value, push, pop)]
    _, reads = run(NeuralDeque(2), *at_one_end)
    torch.testing.assert_close(reads[..., int(bottom), :], expected, **NEAR)


@given(st.integers(0, 10**6))
def test_a_deque_pushed_at_the_top_and_popped_at_the_bottom_is_a_queue(seed: int) -> None:
    value, push, pop = actions(NeuralQueue(2), 15, 2, seed=seed)
    _, expected = run(NeuralQueue(2), value, push, pop)
    none = torch.zeros_like(push)
    pushes, pops = torch.stack([push, none], 2), torch.stack([none, pop], 2)
    _, reads = run(NeuralDeque(2), torch.stack([value, value], 2), pushes, pops)
    torch.testing.assert_close(reads[..., 1, :], expected, **NEAR)


@given(st.integers(0, 10**6))
def test_cells_of_a_superposition_stack_stay_in_the_convex_hull(seed: int) -> None:
    memory = SuperpositionStack(2, empty=-1.0)
    value, push, pop = actions(memory, 12, seed=seed)
    states, _ = run(memory, value, push, pop)
    low, high = value.amin(0).clamp(max=-1), value.amax(0).clamp(min=-1)
    for state in states:
        assert (state.values >= low - 1e-12).all()
        assert (state.values <= high + 1e-12).all()


@pytest.mark.parametrize("kind", EVERY)
def test_a_step_of_no_push_and_no_pop_changes_no_read(kind: type[Memory]) -> None:
    memory = kind(3)
    value, push, pop = actions(memory, 6, 4)
    states, reads = run(memory, value, push, pop)
    nothing = torch.zeros_like(push[0])
    _, read = memory.step(states[-1], value[0], nothing, nothing)
    torch.testing.assert_close(read, reads[-1], **NEAR)


@pytest.mark.parametrize("kind", EVERY)
def test_a_batch_is_its_elements_one_by_one_and_the_old_state_stays(kind: type[Memory]) -> None:
    memory = kind(2)
    value, push, pop = actions(memory, 5, 3, 2)
    states, reads = run(memory, value, push, pop)
    before = states[-1].strengths.clone()
    memory.step(states[-1], value[0], push[0], pop[0])
    assert torch.equal(states[-1].strengths, before)
    for i, j in ((0, 0), (2, 1)):
        _, alone = run(memory, value[:, i, j], push[:, i, j], pop[:, i, j])
        torch.testing.assert_close(alone, reads[:, i, j], **NEAR)


# Gradients.


@pytest.mark.parametrize("kind", EVERY)
def test_gradients_away_from_ties(kind: type[Memory]) -> None:
    memory = kind(2)
    inputs = [x.requires_grad_() for x in actions(memory, 5, 2)]
    assert torch.autograd.gradcheck(lambda *x: run(memory, *x)[1], inputs)


def test_gradients_are_those_of_appendix_a() -> None:
    """Equations 15 to 17: what is read depends on the top by d; a cell that loses strength to a pop by -1."""
    value = torch.eye(2).double().requires_grad_()
    push = doubles([0.8, 0.5]).requires_grad_()
    pop = doubles([0.0, 0.3]).requires_grad_()
    states, reads = run(NeuralStack(2), value, push, pop)
    (by_value,) = torch.autograd.grad(reads[-1].sum(), value, retain_graph=True)
    torch.testing.assert_close(by_value, doubles([[0.5, 0.5], [0.5, 0.5]]), **NEAR)
    (by_pop,) = torch.autograd.grad(states[-1].strengths[1], pop, retain_graph=True)
    torch.testing.assert_close(by_pop, doubles([0.0, -1.0]), **NEAR)


def test_at_a_tie_the_derivative_is_that_of_the_left_argument() -> None:
    """Strength and room are both 1: min(s, room) moves with s. Pop and strength are both 1: max(0, s - u) stays 0."""
    push = torch.ones(2).double().requires_grad_()
    pop = doubles([0.0, 1.0]).requires_grad_()
    states, reads = run(NeuralStack(1), torch.ones(2, 1).double(), push, pop)
    assert torch.autograd.grad(reads[-1].sum(), push, retain_graph=True)[0].tolist() == [0.0, 1.0]
    assert torch.autograd.grad(states[-1].strengths[1], pop)[0].tolist() == [0.0, 0.0]


def test_a_detached_state_has_no_history() -> None:
    value, push, pop = (x.requires_grad_() for x in actions(NeuralStack(2), 3))
    states, reads = run(NeuralStack(2), value, push, pop)
    assert reads.requires_grad
    assert not any(part.requires_grad for part in states[-1].detach())


# Depth, roundings, bad input.


def test_a_full_superposition_stack_is_an_error_and_nothing_is_cut_off_in_silence() -> None:
    memory = SuperpositionStack(1, depth=2)
    one, zero = torch.ones(()), torch.zeros(())
    state = memory.start()
    for push, pop in [(one, zero), (one, zero), (zero, one), (one, zero)]:  # never more than two
        state, _ = memory.step(state, torch.ones(1), push, pop)
    assert state.strengths.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"`depth` is 2, but a push moved 1 "):
        memory.step(state, torch.ones(1), one, zero)


def test_top_cells_are_read_in_a_row_and_empty_ones_as_empty() -> None:
    memory = SuperpositionStack(1, empty=-1.0, top=3)
    assert memory.read(memory.start(2)).tolist() == [[-1.0] * 3] * 2
    state, read = memory.step(memory.start(), torch.tensor([5.0]), torch.tensor(1.0), torch.tensor(0.0))
    assert read.tolist() == [5.0, -1.0, -1.0]
    assert state.strengths.tolist() == [1.0]


@pytest.mark.parametrize(("noop", "logits"), [(True, [0.1, 0.3, 0.2]), (False, [0.1, 0.3])])
def test_the_likeliest_action_is_the_rounded_one(noop: bool, logits: list[float]) -> None:
    memory = SuperpositionStack(1, noop=noop)
    push, pop = memory.decide(torch.tensor(logits))
    assert [float(x) for x in memory.rounded(push, pop)] == [0.0, 1.0]
    stay = SuperpositionStack(1).rounded(torch.tensor(0.2), torch.tensor(0.3))
    assert [float(x) for x in stay] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"push": torch.tensor([0.5, 1.2])}, ValueError, r"`push` must lie in \[0, 1\], but has 1\.2"),
        ({"pop": torch.tensor([-0.1, 0.0])}, ValueError, r"`pop` .* has -0\.1"),
        ({"pop": torch.tensor([torch.nan, 0.0])}, ValueError, r"`pop` .* has nan"),
        ({"value": torch.full((2, 3), torch.inf)}, ValueError, r"`value` has NaN or infinite"),
        ({"value": torch.zeros(2, 4)}, ValueError, r"`value` must have shape \(2, 3\) .* has \(2, 4\)"),
        ({"push": torch.zeros(3)}, ValueError, r"`push` must have shape \(2,\)"),
        ({"push": torch.zeros(2).long()}, TypeError, r"`push` must be a floating-point tensor, but is torch.int64"),
        (
            {"push": 0.5},
            TypeError,
            r"`push` must be .* but is float. Convert it: torch.as_tensor\(push, dtype=torch.float32",
        ),
        ({"value": torch.zeros(2, 3).double()}, TypeError, r"`value` is torch.float64 .* state is torch.float32"),
        ({"state": NeuralStack(4).start(2)}, ValueError, r"`state` must have values of shape \(..., n, 3\)"),
    ],
)
def test_bad_input_is_refused_in_words(change: dict[str, Any], error: type[Exception], message: str) -> None:
    good = {"state": NeuralStack(3).start(2), "value": torch.zeros(2, 3), "push": torch.zeros(2), "pop": torch.zeros(2)}
    with pytest.raises(error, match=message):
        NeuralStack(3).step(**(good | change))


def test_actions_of_a_superposition_stack_add_up_to_1_at_most() -> None:
    with pytest.raises(ValueError, match=r"add up to 1\.2"):
        SuperpositionStack(1).step(SuperpositionStack(1).start(), torch.zeros(1), torch.tensor(0.5), torch.tensor(0.7))


@pytest.mark.parametrize("kind", EVERY)
def test_an_empty_batch_is_one_too(kind: type[Memory]) -> None:
    memory = kind(2)
    _, read = memory.step(memory.start(0), *(x[0] for x in (y.float() for y in actions(memory, 1, 0))))
    assert read.shape == (0, *memory.ends, 2)


@pytest.mark.parametrize("arguments", [{"width": 0}, {"width": 2, "depth": 0}, {"width": 2, "top": 0}])
def test_sizes_below_1_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1, but is 0"):
        SuperpositionStack(**arguments)
    with pytest.raises(TypeError, match=r"`width` must be a whole number"):
        NeuralStack(2.0)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", EVERY)
def test_dtype_follows_the_state(kind: type[Memory]) -> None:
    memory = kind(2)
    state = memory.start(1, dtype=torch.bfloat16)
    ends = (1, *memory.ends)
    half = torch.full(ends, 0.5, dtype=torch.bfloat16)
    after, read = memory.step(state, torch.ones(*ends, 2, dtype=torch.bfloat16), half, half)
    assert {read.dtype, after.values.dtype, after.strengths.dtype} == {torch.bfloat16}


def test_the_same_commands_give_the_same_bits() -> None:
    once, again = (run(NeuralDeque(2), *actions(NeuralDeque(2), 20))[1] for _ in range(2))
    assert torch.equal(once, again)
