"""The abstract interpreter: the program runs once, and every torch function says what it does to what is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import FunctionType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from torchstone.smoothness.aliases import Aliases, opaque
from torchstone.smoothness.call import Call, Operand, apart, tensors
from torchstone.smoothness.declared import smooth
from torchstone.smoothness.domain import CONSTANT, Value, joined
from torchstone.smoothness.names import COUNTING, FRESH, INSIDE, LIKE, OVERWRITING, SEPARATE, SILENT, in_place, named
from torchstone.smoothness.opened import opened
from torchstone.smoothness.places import site
from torchstone.smoothness.report import Condition, Decision, Site
from torchstone.smoothness.restore import AsFound
from torchstone.smoothness.rules import find
from torchstone.smoothness.transfer import UNKNOWN, as_recorded, declared, result_of, rule_for
from torchstone.smoothness.unseen import custom, derivative, from_graph


class Tracer(TorchFunctionMode):
    """Keeps a :class:`Value` for every tensor that depends on the sources.

    Args:
        sources: what is known of them, by tensor.
        found: keeps what the program writes into, to put it back.
        bounds: whether Lipschitz bounds are worked out, which takes norms of the weights.
    """

    def __init__(self, sources: Sequence[tuple[Tensor, Value]], found: AsFound, bounds: bool = True) -> None:
        super().__init__()
        self.bounds = bounds
        self.values = Aliases()
        self.found = found
        self.decisions: list[tuple[Decision, Value]] = []
        self.trapped: dict[Condition, Site] = {}
        self.custom: dict[str, Site] = {}
        self.opening: list[Callable[..., Any]] = []
        for tensor, value in sources:
            self.values.put(tensor, value)

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = named(func)
        if name in SILENT:
            return func(*args, **kwargs)
        if func is torch.autograd.grad:
            return self.differentiate(func, args, kwargs)
        if name.startswith("set."):
            return self.assign(func, args)
        if isinstance(func, FunctionType) and self.should_open(func, name):
            return self.open(func, args, kwargs)
        return self.step(func, name, args, kwargs)

    def should_open(self, function: FunctionType, name: str) -> bool:
        """Whether a function that is written in Python has no rule, so that its inside must tell."""
        ruled = name not in INSIDE and (find(function, name) is not None or function is smooth)
        return not ruled and function not in self.opening

    def open(self, function: FunctionType, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a function with its inside in sight."""
        self.opening.append(function)
        try:
            with self:
                return opened(function)(*args, **kwargs)
        finally:
            self.opening.pop()

    def differentiate(self, grad: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run ``autograd.grad``."""
        if any(map(opaque, tensors([args, kwargs]))):
            return grad(*args, **kwargs)
        here = site("grad")
        below = joined([self.value(tensor) for tensor in tensors([args[:1], kwargs.get("outputs")])], here)
        result = grad(*args, **kwargs)
        for tensor in tensors(result):
            self.values.put(tensor, derivative(tensor, below, here, self.values))
        return result

    def assign(self, setter: Callable[..., Any], args: Sequence[Any]) -> None:
        """Run ``tensor.data = ...`` and the like."""
        tensor, new = args
        self.found.keep_attributes(tensor)
        known = [self.value(part) for part in tensors([tensor, new])]
        setter(tensor, new)
        if not (tensor.is_leaf and tensor.requires_grad) and any(value.depends for value in known):
            self.values.put(tensor, as_recorded(tensor, joined(known, site("data"))))

    def step(self, function: Callable[..., Any], name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run a function, and work out what is known of its result."""
        operands = list(tensors([args, kwargs]))
        if any(map(opaque, operands)):
            return function(*args, **kwargs)
        writing = in_place(function, kwargs)
        self.found.keep(operands if writing else operands[1:] if name in COUNTING else (), kwargs.get("generator"))
        known = {id(tensor): Operand(tensor, self.value(tensor)) for tensor in operands}
        if name in LIKE:
            known |= {id(tensor): Operand(tensor, CONSTANT) for tensor in operands[1:] if tensor is not operands[0]}
        before = [version(tensor) for tensor in operands]
        if writing and any(operand.depends for operand in known.values()):
            known |= {id(operands[0]): replace(known[id(operands[0])], data=operands[0].detach().clone())}
        result = function(*args, **kwargs)
        written = [t for t, old in zip(operands, before, strict=True) if version(t) != old]
        if written and (name in OVERWRITING or (name == "setitem" and everything(args[1]))):
            known.pop(id(operands[0]))
        depends = any(operand.depends for operand in known.values()) and name not in FRESH
        if depends or any(self.value(tensor).depends for tensor in written):
            call = Call(name, function, args, kwargs, known, result)
            for part in apart(call) if name in SEPARATE else [call]:
                self.learn(part, written)
        return result

    def learn(self, call: Call, written: Sequence[Tensor]) -> None:
        """Keep what a call makes known."""
        here = site(call.name)
        results = list(tensors(call.result))
        if call.function is smooth:
            self.values.put(call.result, declared(call, here))
        elif not results and not written:
            self.decide(call, here)
        elif not call.dependent:
            for tensor in written:
                self.values.wrote(tensor, CONSTANT, here)
        else:
            value = result_of(call, rule_for(call, find(call.function, call.name)), here, self.bounds)
            self.trapped |= traps(call, here)
            for tensor in results:  # each with a value of its own: parts of a split are not the same
                self.values.put(tensor, replace(as_recorded(tensor, value)))
            for tensor in written:
                self.values.wrote(tensor, as_recorded(tensor, value), here)

    def decide(self, call: Call, here: Site) -> None:
        """A number or a truth value leaves torch."""
        value = call.result if isinstance(call.result, bool | int | float) else None
        self.decisions.append((Decision(**vars(here), value=value), result_of(call, UNKNOWN, here, self.bounds)))

    def value(self, tensor: Tensor) -> Value:
        """What is known of a tensor; what autograd knows, if nothing is."""
        value = self.values.get(tensor)
        if value is None and tensor.grad_fn is not None:
            value = from_graph(tensor, self.values)
            self.values.put(tensor, value)
            if custom(tensor.grad_fn) and value.depends:
                self.custom[value.site.op] = value.site
        return value or self.values.earlier(tensor) or CONSTANT


def traps(call: Call, here: Site) -> dict[Condition, Site]:
    """Conditions that a branch of ``where`` violates: not chosen, it still makes gradients NaN."""
    if call.name not in ("where", "masked_fill"):
        return {}
    return {c: here for operand in call.dependent for c in operand.value.conditions if not c.holds}


def everything(index: Any) -> bool:
    """Whether ``h[index] = ...`` leaves nothing of what was there: ``h[:]``, ``h[...]``."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in parts)


def version(tensor: Tensor) -> int:
    """How often it was written into."""
    return 0 if tensor.is_inference() else tensor._version
