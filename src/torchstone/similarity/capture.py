"""What the layers of a model put out: named by module, taken by hooks that always come off."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from torchstone.similarity.batches import batches, count, forward
from torchstone.similarity.reductions import Reduce, keeps_examples, reduction

Layers: TypeAlias = Sequence[str] | None
Select: TypeAlias = str | int | Callable[[Any], Tensor] | None


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
    return list(_modules(model))


def leaf_layers(model: nn.Module) -> list[str]:
    """The names of the sub-modules that have no sub-modules of their own: what ``layers=None`` stands for."""
    return [name for name, module in _modules(model).items() if not any(True for _ in module.children())]


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"Expected a torch.nn.Module as model, got {type(model).__name__}.")
    inner: Any = model
    while isinstance(inner, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(inner, "_orig_mod"):
        inner = inner._orig_mod if hasattr(inner, "_orig_mod") else inner.module
    return cast(nn.Module, inner)


@contextmanager
def capture(
    model: nn.Module,
    layers: Layers = None,
    *,
    transform: Callable[[str, Tensor], Any] | None = None,
    select: Select = None,
) -> Iterator[dict[str, Any]]:
    """Record what layers put out while the block lasts; afterwards the model is as it was.

    The model is in eval mode inside the block. The dictionary holds the last forward pass in the order of the calls,
    and a module that is called several times in a pass appears as ``name#0``, ``name#1``, ... . What is kept is
    ``transform(name, output)``, taken at once, since a later in-place operation may overwrite the output itself;
    without a ``transform`` the output is copied.

    Args:
        model: the model; ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile`` are unwrapped, so call
            ``unwrap(model)`` inside the block.
        layers: names of :func:`list_layers` or patterns of :mod:`fnmatch` such as ``"block?"`` or ``"blocks.*.conv"``
            (``*`` also runs over dots); ``None`` for the leaf modules.
        transform: what to keep of an output; where it returns ``None``, nothing is kept.
        select: how to find the tensor in an output that is a tuple or a mapping: an index, a key or a callable.
            ``None`` takes the first element, of that again the first, until it is a tensor; a leaf without one is left
            out.

    Raises:
        UnknownLayerError: (a ``KeyError``) no module has that name.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> with capture(model, ["0"]) as outputs:
        ...     _ = model(torch.zeros(5, 4))
        >>> outputs["0"].shape
        torch.Size([5, 3])
    """
    model = unwrap(model)
    modules = _modules(model, aliases=True)
    names = modules_of(model, layers)
    outputs: dict[str, Any] = {}
    calls: Counter[str] = Counter()
    keep = transform or (lambda _, output: output.clone())

    def start(*_: Any) -> None:
        outputs.clear()
        calls.clear()

    with evaluating(model), ExitStack() as hooks:
        hooks.callback(model.register_forward_pre_hook(start).remove)
        for name in names:
            hook = _hook(name, outputs, calls, keep, select, named=layers is not None)
            hooks.callback(modules[name].register_forward_hook(hook).remove)
        yield outputs


def extract(
    model: nn.Module,
    loader: Iterable[Any] | Tensor,
    layers: Layers = None,
    *,
    reduce: Reduce = "flatten",
    select: Select = None,
    device: torch.device | str | None = None,
    max_batches: int | None = None,
    batch_size: int = 256,
) -> dict[str, Tensor]:
    """The activations of layers on a data set, as matrices (n, d) on the CPU, by layer name.

    Values are as the model gives them (NaN included); float16 and bfloat16 come as float32. All examples of all layers
    are held in memory: n × Σd numbers; :func:`torchstone.similarity.compare_models` needs no such memory.

    Args:
        model: the model; it is neither changed nor moved, runs in eval mode, and its flags are restored.
        loader: a ``DataLoader`` or other iterable of tensors, of tuples that begin with the inputs, or of dictionaries
            (the keys are arguments of ``forward``); or one tensor (n, ...).
        layers: names of :func:`list_layers`, names of calls (``"relu#1"``) or patterns (``"blocks.*.conv"``), in the
            order wanted; ``None`` takes every leaf module that puts out floats with one row for each example.
        reduce: how an output becomes a matrix, see :func:`torchstone.similarity.reduction`.
        select: how to find the tensor in an output that is a tuple or a mapping, see :func:`capture`.
        device: where the model runs (on a copy of it, if it lies elsewhere); ``None`` where it is.
        max_batches: stop after so many batches.
        batch_size: rows of a batch when ``loader`` is a tensor.

    Returns:
        The matrices (n, d), d a layer's own.

    Raises:
        UnknownLayerError: (a ``KeyError``) a layer that the model does not have or does not call.
        ValueError: an output that ``reduce`` cannot take, or that has another number of rows than the batch.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        >>> {name: tuple(matrix.shape) for name, matrix in extract(model, torch.zeros(5, 4)).items()}
        {'0': (5, 3), '1': (5, 3)}
    """
    model, device = placed(model, device)
    features = Features(reduce, strict=layers is not None)
    chunks: dict[str, list[Tensor]] = {}
    names: list[str] | None = None
    with torch.inference_mode(), capture(model, layers, transform=features.kept, select=select) as outputs:
        for inputs in batches(loader, batch_size=batch_size, max_batches=max_batches):
            features.rows = count(inputs)
            forward(model, inputs, device)
            names = pick(outputs, layers) if names is None else names
            for name in names:
                chunks.setdefault(name, []).append(called(outputs, name))
    return {name: joined(name, chunks.pop(name)) for name in names or ()}


class Features:
    """The (n, d) matrix of a layer's output, checked; ``rows`` is the number of examples in the present batch."""

    def __init__(self, reduce: Reduce, *, strict: bool) -> None:
        self.reduce = reduction(reduce)
        self.one_row_each = keeps_examples(reduce)
        self.strict = strict
        self.rows = 0

    def __call__(self, name: str, output: Tensor) -> Tensor | None:
        """The matrix (float32, or float64 where the output is), sharing memory with the output where it can.

        ``None`` for a leaf module without such a matrix that nobody asked for by name.
        """
        problem = self._problem(output)
        if problem and self.strict:
            raise ValueError(f"Layer {name!r} {problem}.")
        if problem:
            return None
        output = output if output.dtype in (torch.float32, torch.float64) else output.to(torch.float32)
        try:
            matrix = self.reduce(output)
        except ValueError as error:
            raise ValueError(f"The output {tuple(output.shape)} of layer {name!r} {error}.") from error
        if not isinstance(matrix, Tensor) or matrix.ndim != 2:
            shape = tuple(matrix.shape) if isinstance(matrix, Tensor) else type(matrix).__name__
            raise ValueError(f"`reduce` must give a matrix (n, d); for layer {name!r} it gave {shape}.")
        return matrix

    def kept(self, name: str, output: Tensor) -> Tensor | None:
        """The matrix in memory of its own, on the CPU."""
        matrix = self(name, output)
        return None if matrix is None else torch.empty_like(matrix, device="cpu").copy_(matrix)

    def _problem(self, output: Tensor) -> str | None:
        if output.dtype == torch.bool or output.is_complex():
            return f"puts out {output.dtype}; real numbers are expected. Use `select` or name other layers"
        if not self.strict and not output.is_floating_point():
            return "puts out integers"
        if self.one_row_each and (not output.ndim or output.shape[0] != self.rows):
            return (
                f"puts out {tuple(output.shape)} for a batch of {self.rows} examples; its first dimension must be the "
                "examples. Use `select`, a callable `reduce`, or name other layers"
            )
        return None


def modules_of(model: nn.Module, layers: Layers) -> list[str]:
    """The names of the modules that ``layers`` speaks of, in the order of definition."""
    if layers is None:
        return leaf_layers(model)
    if isinstance(layers, str) or not layers:
        raise TypeError(
            f"`layers` must be a sequence of names or patterns, or None for the leaf modules; got {layers!r}."
        )
    known = _modules(model, aliases=True)
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


def joined(name: str, chunks: Sequence[Tensor]) -> Tensor:
    """The matrix of a layer on all batches."""
    widths = sorted({chunk.shape[1] for chunk in chunks})
    if len(widths) > 1:
        raise ValueError(
            f"Layer {name!r} has {widths} features, depending on the batch: pad the inputs to one size, or use a "
            "`reduce` such as 'mean'."
        )
    return torch.cat([*chunks])


def placed(model: nn.Module, device: torch.device | str | None) -> tuple[nn.Module, torch.device]:
    """The unwrapped model where it shall run (a copy, if it lies on another device), and that device."""
    model = unwrap(model)
    home = next((tensor.device for tensor in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    target = home if device is None else torch.device(device)
    if target.type == home.type and target.index in (None, home.index):
        return model, home
    return copy.deepcopy(model).to(target), target


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; afterwards every sub-module has the flag that it had."""
    flags = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in flags.items():
            module.training = training


def _modules(model: nn.Module, *, aliases: bool = False) -> dict[str, nn.Module]:
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


def _hook(
    name: str,
    outputs: dict[str, Any],
    calls: Counter[str],
    keep: Callable[[str, Tensor], Any],
    select: Select,
    *,
    named: bool,
) -> Callable[[nn.Module, Any, Any], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        tensor = _selected(name, output, select) if named or _holds_tensor(output) else None
        value = None if tensor is None else keep(name, tensor)
        if value is not None:
            _record(outputs, name, calls[name], value)
            calls[name] += 1

    return hook


def _record(outputs: dict[str, Any], name: str, call: int, value: Any) -> None:
    if call == 0:
        outputs[name] = value
        return
    if call == 1:  # now it is known that the first call was not the only one
        renamed = {f"{name}#0" if key == name else key: kept for key, kept in outputs.items()}
        outputs.clear()
        outputs.update(renamed)
    outputs[f"{name}#{call}"] = value


def _holds_tensor(output: Any) -> bool:
    while isinstance(output, list | tuple | Mapping) and output:
        output = next(iter(output.values())) if isinstance(output, Mapping) else output[0]
    return isinstance(output, Tensor)


def _selected(name: str, output: Any, select: Select) -> Tensor:
    try:
        found = output if isinstance(output, Tensor) else _part(output, select)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(
            f"`select` = {select!r} finds nothing in the {type(output).__name__} of layer {name!r}."
        ) from error
    if not isinstance(found, Tensor):
        raise ValueError(
            f"Layer {name!r} puts out a {type(found).__name__}, not a tensor: give `select`, or name other layers."
        )
    return found


def _part(output: Any, select: Select) -> Any:
    if callable(select):
        return select(output)
    if select is not None:
        return output[select]
    while isinstance(output, list | tuple | Mapping) and output:
        output = next(iter(output.values())) if isinstance(output, Mapping) else output[0]
    return output
