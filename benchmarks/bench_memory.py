"""A step of the neural stack, all cells at once, against two ways of going cell by cell; side by side in one run.

``loop``: the printed equations, for each cell a sum over those above it. ``running``: the algorithm of StackNN, which
walks from the top down with what is left to pop or to read. Both take whole batches at each cell. Sequences of random
pushes and pops, forward and backward; ``µs a step`` for ever longer ones shows what a step costs as the stack grows:
a fixed price for its operations plus one that is linear in its cells.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from torchstone.programs.memory import NeuralStack

Step = Callable[[list[Tensor], list[Tensor], Tensor, Tensor, Tensor], tuple[list[Tensor], list[Tensor], Tensor]]


def by_loop(
    values: list[Tensor], strengths: list[Tensor], v: Tensor, d: Tensor, u: Tensor
) -> tuple[list, list, Tensor]:
    """The equations as they are printed, the bottom first."""
    zero = torch.zeros_like(d)
    left = [(s - (u - sum(strengths[i + 1 :], zero)).relu()).relu() for i, s in enumerate(strengths)]
    values, strengths = [*values, v], [*left, d]
    weights = [torch.minimum(s, (1 - sum(strengths[i + 1 :], zero)).relu()) for i, s in enumerate(strengths)]
    return values, strengths, sum(w[:, None] * value for w, value in zip(weights, values, strict=True))


def by_running(
    values: list[Tensor], strengths: list[Tensor], v: Tensor, d: Tensor, u: Tensor
) -> tuple[list, list, Tensor]:
    """From the top down, with what is left to pop, then with what was read so far."""
    left = []
    for s in reversed(strengths):
        left.append((s - u).relu())
        u = (u - s).relu()
    values, strengths = [*values, v], [*reversed(left), d]
    read, used = torch.zeros_like(v), torch.zeros_like(d)
    for s, value in zip(reversed(strengths), reversed(values), strict=True):
        read = read + torch.minimum(s, (1 - used).relu())[:, None] * value
        used = used + s
    return values, strengths, read


def cell_by_cell(step: Step, value: Tensor, push: Tensor, pop: Tensor) -> Tensor:
    values: list[Tensor] = []
    strengths: list[Tensor] = []
    reads = []
    for v, d, u in zip(value, push, pop, strict=True):
        values, strengths, read = step(values, strengths, v, d, u)
        reads.append(read)
    return torch.stack(reads)


def ours(value: Tensor, push: Tensor, pop: Tensor, *, checked: bool = False) -> Tensor:
    memory = NeuralStack(value.shape[-1])
    state = memory.start(value.shape[1], dtype=value.dtype)
    reads = []
    for v, d, u in zip(value, push, pop, strict=True):
        if checked:
            state, read = memory.step(state, v, d, u)
        else:
            state = memory.move(state, v, d, u)
            read = memory.read(state)
        reads.append(read)
    return torch.stack(reads)


def sequences(steps: int, batch: int, width: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = (steps, batch, width), (steps, batch), (steps, batch)
    value, push, pop = (torch.rand(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return [value, 0.5 + push / 2, pop / 2]  # a stack that grows


def microseconds(run: Callable[..., Tensor], inputs: list[Tensor], backward: bool) -> float:
    """CPU time of a step, on average over a sequence."""
    leaves = [x.float().requires_grad_(backward) for x in inputs]
    start = time.process_time()
    reads = run(*leaves)
    if backward:
        reads.sum().backward()
    return (time.process_time() - start) * 1e6 / len(reads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, nargs="*", default=[16, 32, 64])
    parser.add_argument("--alone", type=int, nargs="*", default=[128, 256, 512, 1024])
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ways: dict[str, Callable[..., Tensor]] = {
        "ours": ours,
        "running": lambda *x: cell_by_cell(by_running, *x),
        "loop": lambda *x: cell_by_cell(by_loop, *x),
        "checked": lambda *x: ours(*x, checked=True),
    }
    short = sequences(20, 3, 4)
    for name, run in ways.items():
        torch.testing.assert_close(run(*short), ours(*short), rtol=0, atol=1e-12, msg=name)

    print(f"batch {arguments.batch}, width {arguments.width}, float32, one thread; CPU µs a step, least of the rounds")
    print(f"{'':>9} {'steps':>6} {'ours':>9} {'checked':>9} {'running':>9} {'ratio':>7} {'loop':>9} {'ratio':>7}")
    for backward in (False, True):
        for steps in [*arguments.steps, *arguments.alone]:
            inputs = sequences(steps, arguments.batch, arguments.width)
            took: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(arguments.rounds):
                for name, run in ways.items():
                    if steps in arguments.steps or name in ("ours", "checked"):
                        took[name].append(microseconds(run, inputs, backward))
            cost = {name: min(times) for name, times in took.items() if times}
            row = f"{'backward' if backward else 'forward':>9} {steps:6d} {cost['ours']:9.0f} {cost['checked']:9.0f}"
            for name in ("running", "loop"):
                if name in cost:
                    row += f" {cost[name]:9.0f} {cost[name] / cost['ours']:7.1f}"
            print(row, flush=True)


if __name__ == "__main__":
    main()
