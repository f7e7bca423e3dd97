"""The layers of a model by name: which there are, which a pattern means, which were called."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, TypeAlias, cast

from torch import nn

Layers: TypeAlias = Sequence[str] | None


class UnknownLayerError(KeyError):
    """A layer was asked for that the model does not have, or did not call."""

    def __str__(self) -> str:
        return str(self.args[0])


def list_layers(model: nn.Module) -> list[str]:
    """The names of every sub-module in the order of definition, or the class name of a lone layer.

    A module that a model holds under several names is listed by the first; ``layers=`` knows the others too.

    Example:
        >>> list_layers(nn.Sequential(nn.Linear(4, 3), nn.ReLU()))
        ['0', '1']
    """
    return list(named_modules(model))


def leaf_layers(model: nn.Module) -> list[str]:
    """The names of the sub-modules that have no sub-modules of their own: what ``layers=None`` stands for."""
    return [name for name, module in named_modules(model).items() if not any(True for _ in module.children())]


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected a torch.nn.Module as model, got {type(model).__name__}.")
    inner: Any = model
    while isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(inner, "_orig_mod"):
        inner = inner._orig_mod if hasattr(inner, "_orig_mod") else inner.module
    return cast(nn.Module, inner)


def modules_of(model: nn.Module, layers: Layers) -> list[str]:
    """The names of the modules that ``layers`` speaks of, in the order of definition."""
    if layers is None:
        return leaf_layers(model)
    if isinstance(layers, str) or not layers:
        raise TypeError(
            f"`layers` must be a sequence of names or patterns, or None for the leaf modules; got {layers!r}."
        )
    known = named_modules(model, aliases=True)
    wanted = {name for entry in layers for name in _matching(known, entry)}
    return [name for name in known if name in wanted]


def pick(outputs: Mapping[str, Any], layers: Layers) -> list[str]:
    """The names of recorded calls that ``layers`` asks for: in its order, within a pattern in that of the calls."""
    if layers is None:
        if not outputs:
            raise ValueError("No leaf module puts out floats with a row for each example: name the layers.")
        return list(outputs)
    names: dict[str, None] = {}
    for entry in layers:
        calls = [name for name in outputs if entry in (name, _module(name)) or fnmatchcase(_module(name), entry)]
        if not calls:
            raise UnknownLayerError(
                f"Layer {entry!r} was not called in the forward pass, so it has no output to look at."
            )
        names.update(dict.fromkeys(calls))
    return list(names)


def called(outputs: Mapping[str, Any], name: str) -> Any:
    """The record of a call; an error says so where the forward pass of this batch did not come there."""
    if name not in outputs:
        raise UnknownLayerError(
            f"Layer {name!r} was called in the first batch and not in a later one: name layers that every batch passes."
        )
    return outputs[name]


def named_modules(model: nn.Module, *, aliases: bool = False) -> dict[str, nn.Module]:
    """The sub-modules by name, each by its first one only or, with ``aliases``, by every one."""
    model = unwrap(model)
    below = {name: module for name, module in model.named_modules(remove_duplicate=not aliases) if name}
    return below or {type(model).__name__: model}


def _module(call: str) -> str:
    """The module's name in the name of a call: ``relu`` in ``relu#1``."""
    name, mark, number = call.rpartition("#")
    return name if mark and number.isdigit() else call


def _matching(known: Mapping[str, nn.Module], entry: str) -> list[str]:
    """The names that an entry means; of several that a pattern finds for one and the same module, the first."""
    if not isinstance(entry, str):
        raise TypeError(f"`layers` must hold names or patterns, got {entry!r}.")
    name = entry if entry in known else _module(entry)
    if name in known:
        return [name]
    found: dict[nn.Module, str] = {}
    for layer, module in known.items():
        if fnmatchcase(layer, entry):
            found.setdefault(module, layer)
    if not found:
        close = get_close_matches(entry, known, n=3)
        hint = f" Did you mean {' or '.join(map(repr, close))}?" if close else ""
        count = len(set(known.values()))
        raise UnknownLayerError(f"No layer is called {entry!r}.{hint} list_layers(model) names all {count} of them.")
    return [*found.values()]
