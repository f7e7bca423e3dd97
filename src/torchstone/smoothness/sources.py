"""What a program is differentiated with respect to: parameters by name, inputs by position."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from torchstone.smoothness.domain import Value, source


@dataclass
class Sources:
    """Trainable tensors by their first name, their other names, and the names of frozen ones.

    Args:
        parameters: all that were given, frozen ones too.
        wants_inputs: whether the inputs are sources.
        named: the sources among the parameters.
        frozen: names of those that do not require gradients.
        aliases: all names of a source, by its first.
        leaves: what autograd differentiates with respect to, by name.
        seen: what the program sees of it.
    """

    parameters: list[Tensor]
    wants_inputs: bool
    named: dict[str, Tensor] = field(default_factory=dict)
    frozen: list[str] = field(default_factory=list)
    aliases: dict[str, list[str]] = field(default_factory=dict)
    leaves: dict[str, Tensor] = field(default_factory=dict)
    seen: list[tuple[Tensor, Value]] = field(default_factory=list)

    def watched(self, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """The inputs, with those that are sources as tensors that autograd follows."""
        for name, parameter in self.named.items():
            self.leaves[name] = parameter
            self.seen.append((parameter, source(name)))
        watched = tuple(self.watch(x, f"inputs[{i}]") for i, x in enumerate(inputs)) if self.wants_inputs else inputs
        if not self.leaves and not self.frozen:
            raise ValueError(
                "There is nothing to differentiate with respect to: no parameters, and no floating-point tensor among "
                "the inputs that wrt asks for. Give params=model, or wrt='inputs'."
            )
        return watched

    def watch(self, nested: Any, name: str) -> Any:
        """The same structure with copies of the floating-point tensors, which are sources."""
        if isinstance(nested, Mapping):
            return {key: self.watch(item, f"{name}[{key!r}]") for key, item in nested.items()}
        if isinstance(nested, list | tuple):
            items = (self.watch(item, f"{name}[{i}]") for i, item in enumerate(nested))
            return type(nested)(*items) if hasattr(nested, "_fields") else type(nested)(items)
        if not isinstance(nested, Tensor) or not (nested.is_floating_point() or nested.is_complex()):
            return nested
        self.leaves[name] = nested.detach().requires_grad_()
        self.aliases[name] = [name]
        copy = self.leaves[name].clone()  # a program may write into its inputs, but not into leaves
        self.seen.append((copy, source(name)))
        return copy


def sources_of(program: Any, params: Any, loss: Any, wrt: str) -> Sources:
    """Collect them."""
    if wrt not in ("params", "inputs", "both"):
        raise ValueError(f"wrt must be 'params', 'inputs' or 'both', but it is {wrt!r}.")
    pairs = list(named_parameters(program, params, loss))
    sources = Sources([parameter for _, parameter in pairs], wants_inputs=wrt != "params")
    first: dict[int, str] = {}
    for name, parameter in pairs if wrt != "inputs" else ():
        if not parameter.requires_grad:
            sources.frozen.append(name)
        elif id(parameter) in first:
            sources.aliases[first[id(parameter)]].append(name)
        else:
            first[id(parameter)] = name
            sources.named[name] = parameter
            sources.aliases[name] = [name]
    return sources


def named_parameters(program: Any, params: Any, loss: Any) -> Iterator[tuple[str, Tensor]]:
    """Every parameter by each of its names."""
    if params is None:
        for prefix, part in (("", program), ("loss", loss)):
            owner = part if isinstance(part, nn.Module) else getattr(part, "__self__", None)
            if isinstance(owner, nn.Module):
                yield from checked(owner.named_parameters(prefix, remove_duplicate=False))
    elif isinstance(params, nn.Module):
        yield from checked(params.named_parameters(remove_duplicate=False))
    elif isinstance(params, Mapping):
        yield from checked(params.items())
    elif isinstance(params, Tensor):
        raise TypeError(
            "params must be a module, a dictionary or a list of tensors, but it is a tensor: give [tensor]."
        )
    else:
        yield from checked((f"params[{i}]", parameter) for i, parameter in enumerate(params))


def checked(pairs: Any) -> Iterator[tuple[str, Tensor]]:
    """The same, with an error for what cannot be a source."""
    for name, parameter in pairs:
        if nn.parameter.is_lazy(parameter):
            raise ValueError(f"parameter '{name}' has no shape yet. Run the lazy module once before you check it.")
        if not isinstance(parameter, Tensor):
            raise TypeError(f"params must hold tensors, but '{name}' is a {type(parameter).__name__}.")
        if parameter.is_meta:
            raise ValueError(
                f"parameter '{name}' is on the meta device and has no values, but the check runs the program."
            )
        yield name, parameter


def modules_of(*parts: Any) -> list[nn.Module]:
    """The modules among the parts, and those whose methods the parts are."""
    owners = [part if isinstance(part, nn.Module) else getattr(part, "__self__", None) for part in parts]
    return [owner for owner in owners if isinstance(owner, nn.Module)]


def check_program(program: Any, loss: Callable[..., Any] | None) -> None:
    """Refuse what cannot be looked into."""
    for name, part in (("program", program), ("loss", loss)):
        if part is None and name == "loss":
            continue
        if not callable(part):
            raise TypeError(f"{name} must be a module or a function, but it is of type {type(part).__name__}.")
        parts = part.modules() if isinstance(part, nn.Module) else [part]
        if any(hasattr(p, "_torchdynamo_orig_callable") or hasattr(p, "_orig_mod") for p in parts):
            raise TypeError(
                f"{name} is compiled by torch.compile, so its operations cannot be seen: pass the uncompiled module."
            )
        parts = part.modules() if isinstance(part, nn.Module) else [part]
        if any(isinstance(p, torch.jit.ScriptModule | torch.jit.ScriptFunction) for p in parts):
            raise TypeError(
                f"{name} is a TorchScript module, so its operations cannot be seen: pass the Python module."
            )
