"""Can holes be told apart by the examples? The rank of a Jacobian says it, before training."""

from typing import Any

import torch
from torch import Tensor

from torchstone.programs.holes.bodies import MLP, Monotone, Poly, broadcast
from torchstone.programs.holes.deciders import Decider, Mean
from torchstone.programs.holes.examples import Example, number
from torchstone.programs.holes.objective import AVERAGES, Branches
from torchstone.programs.holes.paths import replayed
from torchstone.programs.holes.run import Observer
from torchstone.programs.holes.task import Task


class ConfoundedWarning(UserWarning):
    """What one hole does, others can undo: only together do the examples tell them."""


def confounded(task: Task, branches: Branches, max_paths: int, max_steps: int) -> dict[str, tuple[int, int]]:
    r"""How many directions of each real-valued hole the examples tell, and how many there are.

    Each such hole is replaced by the sum of its arguments, plus small multiples of 1, of each argument and of each
    argument's square. J is the Jacobian of what the program returns, on all examples and paths, with respect to those
    multiples. What is told of a hole f, whatever the others do, is :math:`\operatorname{rank} J - \operatorname{rank}
    J_{\text{without } f}`.

    Returns:
        For each hole (told, all): (0, 3) means that the others can undo all that it does. Nothing, if the sums are
        where the program has no derivative.
    """
    tilts = {
        name: torch.zeros(1 + 2 * body.inputs, dtype=torch.float64, requires_grad=True)
        for name, body in task.bodies.every().items()
        if isinstance(body, Poly | MLP | Monotone)
    }
    if not tilts:
        return {}

    def tilted(name: str, body: Any, arguments: tuple[Any, ...], value: Any) -> Any:
        return value if name not in tilts else tilt(arguments, tilts[name]).to(value)

    alone = task.alone()
    rows = [
        row
        for group in alone.singly()
        for output in outputs(alone, group, branches, max_paths, max_steps, tilted)
        for row in jacobian(output, list(tilts.values()))
    ]
    if not rows:
        return {}
    blocks = list(torch.split(torch.stack(rows), [len(t) for t in tilts.values()], 1))
    return {
        name: (rank(blocks) - rank([*blocks[:j], *blocks[j + 1 :]]), rank([blocks[j]])) for j, name in enumerate(tilts)
    }


def jacobian(output: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    """Derivatives of the elements, a row for each; of many elements, mixtures of them that have the same rank."""
    flat, most = output.flatten().double(), sum(map(len, inputs))
    if not flat.requires_grad:
        return [torch.zeros(most, dtype=torch.float64)]
    n, generator = len(flat), torch.Generator().manual_seed(0)
    mixtures = torch.eye(n) if n <= most else torch.randn(most, n, generator=generator) / n**0.5
    rows = []
    for weights in mixtures.to(flat):
        parts = torch.autograd.grad(
            flat @ weights, inputs, retain_graph=True, materialize_grads=True, allow_unused=True
        )
        rows.append(torch.cat(parts))
    return [row for row in rows if row.isfinite().all()]


def tilt(arguments: tuple[Any, ...], multiples: Tensor) -> Tensor:
    """The sum of the arguments, plus multiples of 1, each argument and each square."""
    x = broadcast(arguments, multiples)
    basis = torch.cat([torch.ones_like(x[..., :1]), x, x**2], -1)
    return x.sum(-1) + basis @ multiples


def outputs(
    task: Task, group: Example, branches: Branches, max_paths: int, max_steps: int, observer: Observer
) -> list[Tensor]:
    """What the program returns on each path."""
    inputs, target = group

    def run(decider: Decider) -> Tensor:
        return number(task.output(decider, inputs, observer=observer), target)

    if branches in AVERAGES:
        return [run(Mean())]
    return [output for _, output in replayed(run, max_paths, max_steps)]


def rank(columns: list[Tensor]) -> int:
    """Of matrices side by side, each column brought to length 1."""
    if not columns:
        return 0
    matrix = torch.cat(columns, 1)
    norms = matrix.norm(dim=0)
    return int(torch.linalg.matrix_rank(matrix / torch.where(norms > 0, norms, 1.0), rtol=1e-5))


def confusions(told: dict[str, tuple[int, int]]) -> list[str]:
    """Sentences about holes of which the examples tell nothing.

    >>> confusions({"f": (0, 3), "g": (0, 3), "h": (3, 3)})
    ["holes 'f' and 'g' are confounded: 0 of 3 directions are observed that the others could not undo."]
    """
    idle = [f"hole {name!r} changes nothing in what the program returns." for name in told if told[name][1] == 0]
    mixed = [name for name, (own, directions) in told.items() if own == 0 < directions]
    if mixed:
        directions = max(told[name][1] for name in mixed)
        which = f"holes {' and '.join(map(repr, mixed))} are" if len(mixed) > 1 else f"hole {mixed[0]!r} is"
        idle.append(f"{which} confounded: 0 of {directions} directions are observed that the others could not undo.")
    return idle
