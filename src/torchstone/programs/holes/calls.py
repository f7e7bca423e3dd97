"""What a program writes where it leaves something open: a number, a decision, a choice, an order."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from torchstone.programs.holes.bodies import MLP, Threshold
from torchstone.programs.holes.choices import Choose, Permutation
from torchstone.programs.holes.run import Run, current


def hole(name: str, *arguments: Any) -> Any:
    """A number, or a tensor of them, that a body makes of the arguments.

    Args:
        name: calls of one name share one body; :class:`MLP` if the program was given none.
        arguments: what the body takes: numbers or tensors, which ``Poly``, ``MLP`` and ``Monotone`` broadcast.

    Returns:
        What the body returns.

    Raises:
        RuntimeError: there is no program around it.
        LookupError: the program was not fitted, and has no body for this name.
        ValueError: there are no arguments.
        TypeError: a flag, a choice or an order has this name.

    Example:
        >>> from torchstone.programs.holes import Poly, program
        >>> @program
        ... def twice(x):
        ...     return 2 * hole("part", x)
        >>> twice.holes["part"] = Poly(1)
        >>> twice(torch.ones(2))
        tensor([0., 0.], grad_fn=<MulBackward0>)
    """
    run = current("hole", name)
    if not arguments:
        raise ValueError(
            f"hole({name!r}) has no arguments. For one number for all examples write hole({name!r}, 1.0), and "
            f"program.holes[{name!r}] = Poly(0)."
        )
    body = run.body("hole", name, lambda: MLP(16, inputs=len(arguments)))
    if isinstance(body, Choose):
        return run.value(name, run.decider.pick(body, body.logits, list(body.candidates.values())), arguments)
    return run.value(name, body, arguments)


class Flag:
    """A decision that is open: ``if flag(...)`` takes one branch, ``select(flag(...), a, b)`` goes with a batch."""

    def __init__(self, run: Run, logits: Tensor, constant: nn.Module | None) -> None:
        self.run, self.logits, self.constant = run, logits, constant
        self.decided: bool | None = None

    def __bool__(self) -> bool:
        if self.decided is None:
            self.decided = self.run.decider.truth(self.constant, self.logits)
        return self.decided

    def __eq__(self, other: object) -> bool:
        """Whether this is decided as the other is."""
        return bool(self) == (bool(other) if isinstance(other, Flag) else other)

    __hash__ = None  # type: ignore[assignment]

    def select(self, a: Any, b: Any) -> Any:
        """a if true, b if not, or their mean."""
        if self.decided is not None:
            return a if self.decided else b
        if self.run.decider.by_paths:
            return a if self else b
        return self.run.decider.pick(self.constant, self.logits, [b, a])


def flag(name: str, *features: Any) -> Flag:
    """A truth value: for each example by its features, or one for all examples if there are none.

    Args:
        name: calls of one name share one body; :class:`Threshold` if the program was given none.
        features: what the body takes.

    Returns:
        What ``if``, ``while`` and :func:`select` understand.

    Raises:
        RuntimeError: there is no program around it.
    """
    run = current("flag", name)
    if not features:
        constant, logits = run.constant("flag", name, ["False", "True"])
        return Flag(run, logits, constant)
    body = run.body("flag", name, lambda: Threshold(len(features)))
    logit = run.value(name, body, features)
    logit = logit.reshape(()) if logit.numel() == 1 else logit  # a layer with one output returns (1,)
    return Flag(run, torch.stack([torch.zeros_like(logit), logit], -1), None)


def select(condition: Any, a: Any, b: Any) -> Any:
    """``a`` where the condition holds, ``b`` elsewhere; both are worked out.

    Args:
        condition: a :func:`flag`, or a tensor or number of truth values.
        a, b: numbers or tensors.
    """
    if isinstance(condition, Flag):
        return condition.select(a, b)
    return torch.where(torch.as_tensor(condition), torch.as_tensor(a), torch.as_tensor(b))


def choose(name: str, *features: Any, among: Sequence[Any] | Mapping[str, Any]) -> Any:
    """One of some things: numbers, functions, or (where paths are gone through) anything.

    Args:
        name: calls of one name share one body.
        features: what the body takes, which then must be a module that the program was given, and that returns
            logits (..., k). Without features one thing is chosen for all examples.
        among: the k things.

    Returns:
        One of them; with ``branches="mix"`` or ``"relax"`` the mean of numbers, or of what the functions return.

    Raises:
        RuntimeError: there is no program around it.
        ValueError: the body returns another number of logits.
    """
    run = current("choose", name)
    options = list(among.values()) if isinstance(among, Mapping) else list(among)
    constant = None
    if features:
        body = run.body("choose", name, lambda: missing(name, len(options)))
        logits = run.value(name, body, features)
    else:
        constant, logits = run.constant("choose", name, names(among))
    if logits.shape[-1] != len(options):
        raise ValueError(
            f"choose({name!r}) is among {len(options)} things, but its body returns {logits.shape[-1]} logits."
        )
    return run.decider.pick(constant, logits, options)


def names(among: Sequence[Any] | Mapping[str, Any]) -> list[str]:
    """What the things that are chosen from are called.

    >>> names([torch.sin, 2.0])
    ['sin', '2.0']
    """
    return list(among) if isinstance(among, Mapping) else [getattr(x, "__name__", str(x)) for x in among]


def missing(name: str, k: int) -> nn.Module:
    """There is no default for a choice by features."""
    raise LookupError(
        f"choose({name!r}) has features, so it needs a body: program.holes[{name!r}] = a module that makes {k} logits "
        "of them."
    )


def permute(name: str, x: Tensor) -> Tensor:
    """The elements of the last axis in an order that is learned, the same in all examples.

    Args:
        name: calls of one name share one order.
        x: (..., n).

    Returns:
        (..., n): while it is trained, means of the elements by a doubly stochastic matrix.

    Raises:
        RuntimeError: there is no program around it.
    """
    run = current("permute", name)
    body = run.body("permute", name, lambda: Permutation(x.shape[-1]))
    if not isinstance(body, Permutation):
        raise TypeError(f"permute({name!r}) needs a Permutation as its body, but has a {type(body).__name__}.")
    return cast(Tensor, run.seen(name, body, (x,), x @ (body.nearest() if run.decider.final else body.matrix()).T))
