"""What the models are fed: batches from a loader or a tensor, and one forward pass on a batch."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader


def batches(loader: Iterable[Any] | Tensor, *, batch_size: int = 256, max_batches: int | None = None) -> Iterator[Any]:
    """The model inputs that ``loader`` holds, one batch at a time: each a tensor (n, ...) or a mapping of tensors.

    Args:
        loader: any iterable of batches, such as a ``DataLoader``, or one tensor (n, ...) that is cut here. A batch is a
            tensor, a mapping of tensors (keyword arguments of ``forward``), or a tuple whose first element is one of
            these (the rest, the labels say, is left alone).
        batch_size: rows of a batch when ``loader`` is a tensor; a loader has its own.
        max_batches: stop after so many; ``None`` takes all.

    Raises:
        ValueError: ``batch_size`` or ``max_batches`` is below 1, or there is no batch at all.
        TypeError: two loaders, or a batch of another kind.
    """
    _check(loader, batch_size, max_batches)
    source = torch.split(loader, batch_size) if isinstance(loader, Tensor) else loader
    empty = True
    for batch in islice(source, max_batches):
        inputs = _inputs(batch)
        if count(inputs):
            empty = False
            yield inputs
    if empty:
        raise ValueError("`loader` gives no example: expected at least one batch of inputs.")


def count(inputs: Tensor | Mapping[str, Any]) -> int:
    """The number of examples in a batch: the first dimension of the tensor, or of the first tensor in the mapping."""
    if isinstance(inputs, Tensor):
        return inputs.shape[0]
    return next(value.shape[0] for value in inputs.values() if isinstance(value, Tensor))


def forward(model: nn.Module, inputs: Tensor | Mapping[str, Any], device: torch.device) -> Any:
    """One forward pass on a batch; of a mapping, ``model.forward`` gets the keys that it has arguments for."""
    if isinstance(inputs, Tensor):
        return model(inputs.to(device))
    accepted = _accepted(model, inputs)
    return model(**{name: value.to(device) if isinstance(value, Tensor) else value for name, value in accepted.items()})


def _check(loader: Iterable[Any] | Tensor, batch_size: int, max_batches: int | None) -> None:
    if isinstance(loader, list | tuple) and any(isinstance(element, DataLoader) for element in loader):
        raise TypeError(
            "`loader` holds several loaders. The same batch must go to every model (two shuffled loaders would pair "
            "different examples): give one loader."
        )
    if (
        isinstance(loader, Mapping)
        or not isinstance(loader, Iterable)
        or (isinstance(loader, Tensor) and not loader.ndim)
    ):
        kind = type(loader).__name__
        raise TypeError(f"`loader` must be an iterable of batches or a tensor (n, ...), got {kind}.")
    if batch_size < 1:
        raise ValueError(f"`batch_size` must be at least 1, got {batch_size}.")
    if max_batches is not None and max_batches < 1:
        raise ValueError(f"`max_batches` must be at least 1 or None, got {max_batches}.")


def _inputs(batch: Any) -> Tensor | Mapping[str, Any]:
    inputs = batch[0] if isinstance(batch, list | tuple) and batch else batch
    if isinstance(inputs, Tensor) and inputs.ndim:
        return inputs
    if isinstance(inputs, Mapping) and any(isinstance(value, Tensor) and value.ndim for value in inputs.values()):
        return inputs
    raise TypeError(
        f"A batch of `loader` is a {type(batch).__name__} that holds no input tensor: expected a tensor (n, ...), "
        "a mapping of tensors, or a tuple that begins with one of these."
    )


def _accepted(model: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    parameters = inspect.signature(model.forward).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(inputs)
    accepted = {name: value for name, value in inputs.items() if name in parameters}
    if not accepted:
        raise TypeError(
            f"A batch of `loader` has the keys {', '.join(map(repr, inputs))}, and {type(model).__name__}.forward "
            f"takes {', '.join(map(repr, parameters)) or 'no argument'}: rename the keys to its arguments."
        )
    return accepted
