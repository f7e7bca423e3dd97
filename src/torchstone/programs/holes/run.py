"""One run of a program: where its bodies are, who decides, who looks on, and which run a hole belongs to."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from torchstone.programs.holes.choices import Constant, Permutation
from torchstone.programs.holes.container import Bodies
from torchstone.programs.holes.deciders import Decider

Observer = Callable[[str, Any, tuple[Any, ...], Any], Any]


@dataclass(frozen=True)
class Run:
    """One run of a program.

    Args:
        function: the program's.
        bodies: of its holes.
        decider: who decides.
        observer: who looks on, and may put another value in place of what a body says.
        cache: what bodies said of tensors; None to work it out at each call.
        open: whether holes without a body are given their default.
        path: before the names of holes, in a program that fills a hole of another: ``inner.holes.``
    """

    function: Callable[..., Any]
    bodies: Bodies
    decider: Decider
    observer: Observer | None = None
    cache: dict[Any, Any] | None = None
    open: bool = False
    path: str = ""

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
