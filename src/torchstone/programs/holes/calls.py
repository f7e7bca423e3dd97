"""What a program writes where it leaves something open: a number, a decision, a choice, an order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor, nn

from torchstone.programs.holes.bodies import MLP, Threshold
from torchstone.programs.holes.choices import Bodies, Choose, Constant, Permutation
from torchstone.programs.holes.deciders import Decider

Observer = Callable[[str, Any, tuple[Any, ...], Any], Any]


@dataclass(frozen=True)
class Run:
    """One run of a program: where bodies are, who decides, and who looks on (and may put another value in place)."""

    function: Callable[..., Any]
    bodies: Bodies
    decider: Decider
    observer: Observer | None = None
    cache: dict[Any, Any] | None = None
    open: bool = False
    """Whether holes without a body are given their default."""
    path: str = ""
    """Before the names of holes, in a program that fills a hole of another: ``inner.holes.``"""

    def inside(self, function: Callable[..., Any], bodies: Bodies) -> "Run":
        """The part of this run in a program that is called in it: itself again, a body, or one that is not trained.

        The function tells whether it is itself: in a copy of a program, it still calls the first one by its name.
        """
        if function is self.function:
            return self
        path = next((path for path, module in self.bodies.named_modules() if module is bodies), None)
        if path is None:
            return Run(function, bodies, self.decider)
        return replace(self, function=function, bodies=bodies, path=f"{self.path}{path}.")

    def body(self, kind: str, name: str, default: Callable[[], nn.Module]) -> nn.Module:
        """The body of a hole."""
        if name not in self.bodies:
            if not self.open:
                raise LookupError(
                    f"{kind}({name!r}) has no body yet. Fit the program, or give it one: "
                    f"program.holes[{name!r}] = Poly(2)."
                )
            self.bodies[name] = default().to(self.bodies.like())
        return self.bodies[name]

    def constant(self, kind: str, name: str, outcomes: Sequence[str]) -> tuple[Constant, Tensor]:
        """The body of a decision without features, and its logits."""
        body = self.body(kind, name, lambda: Constant(outcomes))
        if not isinstance(body, Constant):
            raise TypeError(
                f"{kind}({name!r}) has no features, but the name {name!r} belongs to a {type(body).__name__}. Take "
                "another name, or give it the same features in each call."
            )
        return body, self.seen(name, body, (), body.logits)

    def value(self, name: str, body: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """What a body says of its arguments; what was said of the very same tensors is not worked out again."""
        if isinstance(body, Constant | Permutation):
            raise TypeError(
                f"The name {name!r} belongs to a {type(body).__name__}, which takes no arguments, but is called with "
                f"{len(arguments)}. Take another name here."
            )
        if self.cache is None or not decides_nothing(body) or not all(map(lasting, arguments)):
            found = body(*arguments)
        else:
            key = (id(body), *((id(x), x._version) for x in arguments))
            if key not in self.cache:
                self.cache[key] = body(*arguments), arguments  # kept, so that their ids stay theirs
            found = self.cache[key][0]
        return self.seen(name, body, arguments, found)

    def seen(self, name: str, body: Any, arguments: tuple[Any, ...], value: Any) -> Any:
        """The value, or what the observer puts in its place."""
        return value if self.observer is None else self.observer(self.path + name, body, arguments, value)


def decides_nothing(body: Callable[..., Any]) -> bool:
    """Whether a body is a module without a program in it, so that it says the same on every path."""
    return isinstance(body, nn.Module) and not any(hasattr(module, "holes") for module in body.modules())


def lasting(x: Any) -> bool:
    """Whether this is a tensor that counts its changes in place."""
    return isinstance(x, Tensor) and not x.is_inference()


CURRENT: ContextVar[Run | None] = ContextVar("run", default=None)


@contextmanager
def running(run: Run) -> Iterator[None]:
    """Inside the block the holes that are called belong to this run."""
    token = CURRENT.set(run)
    try:
        yield
    finally:
        CURRENT.reset(token)


def current(kind: str, name: str) -> Run:
    """The run that a hole belongs to."""
    run = CURRENT.get()
    if run is None:
        raise RuntimeError(f"{kind}({name!r}) was called outside a program. Put @program above the function around it.")
    return run


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
