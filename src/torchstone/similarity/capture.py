"""What the layers of a model put out: taken by hooks that always come off."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from torchstone.similarity.batches import batches, count, forward
from torchstone.similarity.features import Features, joined
from torchstone.similarity.layers import Layers, called, modules_of, named_modules, pick, unwrap
from torchstone.similarity.reductions import Reduce
from torchstone.training import evaluating

Select: TypeAlias = str | int | Callable[[Any], Tensor] | None


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
    modules = named_modules(model, aliases=True)
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


def placed(model: nn.Module, device: torch.device | str | None) -> tuple[nn.Module, torch.device]:
    """The unwrapped model where it shall run (a copy, if it lies on another device), and that device."""
    model = unwrap(model)
    home = next((tensor.device for tensor in [*model.parameters(), *model.buffers()]), torch.device("cpu"))
    target = home if device is None else torch.device(device)
    if target.type == home.type and target.index in (None, home.index):
        return model, home
    return copy.deepcopy(model).to(target), target


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
