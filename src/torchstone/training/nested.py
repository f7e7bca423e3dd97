"""Nested state without pickle: what ``state_dict`` returns, split into named tensors and JSON, and joined again."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Json = Any


def flatten(state: Any, name: str = "state") -> tuple[dict[str, Tensor], Json]:
    """Split nested ``state`` into tensors by name and a JSON document that says where they go.

    Tensors, ``None``, booleans, integers, floats (``nan`` and ``inf`` too), strings, lists, tuples, and mappings with
    any of these as keys come back from :func:`unflatten` as they went in, to the last bit; tensors on the CPU, in the
    memory format they had. A subclass of ``tuple`` or ``dict`` comes back as a plain one, except ``Counter``, which
    the schedulers of torch need.

    Args:
        state: the nested state.
        name: what the state is called: the first part of every tensor's name.

    Returns:
        The tensors (copies on the CPU that share no memory) and the document.

    Raises:
        TypeError: something in ``state`` is of another type; the message says where it is.

    Example:
        >>> tensors, document = flatten({"step": 3, "betas": (0.9, 0.99), "mean": torch.zeros(2)})
        >>> list(tensors)
        ['state.mean']
        >>> unflatten(tensors, document)
        {'step': 3, 'betas': (0.9, 0.99), 'mean': tensor([0., 0.])}
    """
    tensors: dict[str, Tensor] = {}
    return tensors, _encode(state, name, tensors)


def unflatten(tensors: Mapping[str, Tensor], document: Json) -> Any:
    """Put together what :func:`flatten` split."""
    if not isinstance(document, dict):
        return [unflatten(tensors, item) for item in document] if isinstance(document, list) else document
    ((kind, content),) = document.items()
    if kind == "tensor":
        name, order = content
        return tensors[name].permute([order.index(dimension) for dimension in range(len(order))])
    if kind == "float":
        return float(content)
    if kind == "tuple":
        return tuple(unflatten(tensors, item) for item in content)
    pairs = {unflatten(tensors, key): unflatten(tensors, value) for key, value in content}
    return Counter(pairs) if kind == "counter" else pairs


def _encode(value: Any, name: str, tensors: dict[str, Tensor]) -> Json:
    if isinstance(value, Tensor):
        while name in tensors:  # the keys "a.b" and "a" of "b" meet
            name += "'"
        order = sorted(range(value.ndim), key=value.stride, reverse=True)  # the dimensions as they lie in memory
        stored = value.detach().permute(order)
        tensors[name] = torch.empty(stored.shape, dtype=value.dtype).copy_(stored)
        return {"tensor": [name, order]}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        items = [_encode(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping):
        pairs = [[_encode(key, name, tensors), _encode(item, f"{name}.{key}", tensors)] for key, item in value.items()]
        return {"counter" if isinstance(value, Counter) else "dict": pairs}
    raise TypeError(
        f"{name} is of type {type(value).__name__}, which a checkpoint cannot hold: it takes tensors, numbers, "
        "strings, None, and lists, tuples and dicts of them. Convert it, or keep it out of the state."
    )
