"""What is looked at before training: is a program repeatable, which holes are reached, and can they be told apart?"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from torchstone.programs.holes.bodies import MLP, Monotone, Poly, broadcast
from torchstone.programs.holes.deciders import Decider, Mean, Prefix
from torchstone.programs.holes.examples import Example, Task
from torchstone.programs.holes.objective import Branches, TooManyPathsError, paths
from torchstone.programs.holes.source import places


class NotRepeatableError(ValueError):
    """A program does something else when it runs again with the same arguments and decisions."""


class UnreachedError(ValueError):
    """No example reaches a hole."""


class ConfoundedWarning(UserWarning):
    """What one hole does, others can undo: only together do the examples tell them."""


@dataclass
class Seen:
    """What the holes of a program were given and gave."""

    arguments: dict[str, list[tuple[Any, ...]]] = field(default_factory=dict)
    log: list[tuple[str, tuple[Any, ...], Any]] = field(default_factory=list)

    def __call__(self, name: str, arguments: tuple[Any, ...], value: Any) -> Any:
        """Note a call, and leave its value."""
        self.arguments.setdefault(name, []).append(arguments)
        self.log.append((name, arguments, value))
        return value


@torch.no_grad()
def prepare(task: Task, branches: Branches, max_steps: int) -> Seen:
    """Run each example once, open holes getting their bodies, and the first one twice.

    Raises:
        NotRepeatableError: the second run differs.
    """
    task, seen = task.alone(), Seen()
    for i, group in enumerate(task.singly()):
        task.output(decider(branches, max_steps), group[0], observer=seen, open=True)
        if i == 0:
            check_repeatable(task, group, branches, max_steps)
    return seen


def decider(branches: Branches, max_steps: int) -> Decider:
    """Somebody who decides without drawing."""
    return Mean() if branches in ("mix", "relax") else Prefix((), max_steps)


def check_repeatable(task: Task, group: Example, branches: Branches, max_steps: int) -> None:
    """Two runs with the same decisions must do the same."""
    runs = []
    for _ in range(2):
        seen = Seen()
        output = task.output(decider(branches, max_steps), group[0], observer=seen)
        runs.append([*seen.log, ("", (), output)])
    first, second = runs
    for (name, *one), (again, *two) in zip(first, second, strict=False):
        if name != again or not same(one, two):
            where = f"at hole {name!r}" if name else "in what it returns"
            raise NotRepeatableError(
                f"The program is not repeatable: run twice on the first example with the same decisions, it differs "
                f"{where}. Paths are gone through by running it again, so it must not draw random numbers, change its "
                "arguments or globals, or read what changes."
            )


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal to the bit; NaN is equal to NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Tensor):
        return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
    return a is b or bool(a == b) or (a != a and b != b)


@torch.no_grad()
def check_reached(task: Task, seen: Seen, max_paths: int, max_steps: int) -> None:
    """Every hole in the source, and every body that was given, must be used in some path of some example.

    Raises:
        UnreachedError: one is not.
    """
    task, missing = task.alone(), {*task.bodies, *places(task.function)} - set(seen.arguments) - constants(task.bodies)
    for group in task.singly():
        if not missing:
            return
        found = Seen()
        try:
            paths(task, group, max_paths, max_steps, observer=found, open=True)
        except TooManyPathsError:
            return
        missing -= set(found.arguments) | constants(task.bodies)
        for name, arguments in found.arguments.items():
            seen.arguments.setdefault(name, []).extend(arguments)
    if missing:
        raise UnreachedError(unreached(task.function, sorted(missing)))


def constants(bodies: nn.ModuleDict) -> set[str]:
    """Holes without arguments, which have no calls to look at."""
    return {name for name, body in bodies.items() if hasattr(body, "logits") or hasattr(body, "scores")}


def unreached(function: Callable[..., Any], names: list[str]) -> str:
    """Which holes no example reaches, and where they stand."""
    known = places(function)
    which = ", ".join(f"{name!r}" + (f" ({known[name].where})" if name in known else "") for name in names)
    return (
        f"No example reaches {which} on any path, so nothing can be learned there. Give examples that do, or remove "
        "what is not used."
    )


def confounded(task: Task, max_paths: int, max_steps: int) -> dict[str, tuple[int, int]]:
    r"""How many directions of each real-valued hole the examples tell, and how many there are.

    Each such hole is replaced by the sum of its arguments, plus small multiples of 1, of each argument and of each
    argument's square. J is the Jacobian of what the program returns, on all examples and paths, with respect to those
    multiples. What is told of a hole f, whatever the others do, is :math:`\operatorname{rank} J - \operatorname{rank}
    J_{\text{without } f}`.

    Returns:
        For each hole (told, all): (0, 3) means that the others can undo all that it does.
    """
    curves = {name: body for name, body in task.bodies.items() if isinstance(body, Poly | MLP | Monotone)}
    tilts = {
        name: torch.zeros(1 + 2 * body.inputs, dtype=torch.float64, requires_grad=True) for name, body in curves.items()
    }
    if not tilts:
        return {}

    def tilted(name: str, arguments: tuple[Any, ...], value: Any) -> Any:
        return value if name not in tilts else tilt(arguments, tilts[name]).to(value.dtype)

    blocks: list[list[Tensor]] = []
    alone = task.alone()
    for group in alone.singly():
        for output in outputs(alone, group, max_paths, max_steps, tilted):
            for element in output.flatten():
                rows = torch.autograd.grad(element, list(tilts.values()), retain_graph=True, allow_unused=True)
                blocks.append(
                    [torch.zeros_like(t) if r is None else r for r, t in zip(rows, tilts.values(), strict=True)]
                )
    columns = {name: torch.stack([row[j] for row in blocks]) for j, name in enumerate(tilts)}
    total = rank(list(columns.values()))
    return {
        name: (total - rank([c for other, c in columns.items() if other != name]), rank([columns[name]]))
        for name in columns
    }


def tilt(arguments: tuple[Any, ...], multiples: Tensor) -> Tensor:
    """The sum of the arguments, plus multiples of 1, each argument and each square."""
    x = broadcast(arguments, multiples)
    basis = torch.cat([torch.ones_like(x[..., :1]), x, x**2], -1)
    return x.sum(-1) + basis @ multiples


def outputs(task: Task, group: Example, max_paths: int, max_steps: int, observer: Any) -> list[Tensor]:
    """What the program returns on each path, as far as it depends on the tilts."""
    kept: list[Tensor] = []

    def loss(output: Tensor, target: Tensor) -> Tensor:
        kept.append(output)
        return torch.zeros(output.shape[:1])

    paths(replace(task, loss=loss), group, max_paths, max_steps, observer=observer)
    return [output for output in kept if output.requires_grad]


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
        idle.append(
            f"holes {' and '.join(map(repr, mixed))} are confounded: 0 of {directions} directions are observed that "
            "the others could not undo."
        )
    return idle
