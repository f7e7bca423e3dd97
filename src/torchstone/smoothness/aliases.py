"""What is known of each tensor; writing into one changes what is known of those that share its memory."""

from collections import defaultdict
from dataclasses import replace

import torch
from torch import Tensor

from torchstone.smoothness.domain import Value, joined
from torchstone.smoothness.report import Site


class Aliases:
    """What is known of tensors, by object and not by data; it keeps them alive, so that ids are unique."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[Tensor, Value, object]] = {}
        self.sharing: dict[int, list[Tensor]] = defaultdict(list)
        self.by_node: dict[object, Value] = {}
        self.trusted: set[str] = set()

    def get(self, tensor: Tensor) -> Value | None:
        """What is known of a tensor, unless autograd has given it another history since."""
        entry = self.known.get(id(tensor))
        return entry[1] if entry is not None and entry[2] is tensor.grad_fn else None

    def earlier(self, tensor: Tensor) -> Value | None:
        """What was known of it, whatever happened to it since."""
        entry = self.known.get(id(tensor))
        return None if entry is None else entry[1]

    def put(self, tensor: Tensor, value: Value) -> None:
        """Learn of a tensor; a parameter stays one, whatever is written into it."""
        if opaque(tensor) or (id(tensor) in self.known and tensor.is_leaf and tensor.requires_grad):
            return
        if id(tensor) not in self.known:
            self.sharing[tensor.untyped_storage().data_ptr()].append(tensor)
        self.known[id(tensor)] = (tensor, value, tensor.grad_fn)
        if tensor.grad_fn is not None:
            self.by_node[tensor.grad_fn] = value

    def wrote(self, tensor: Tensor, value: Value, site: Site) -> None:
        """Learn of a tensor that was written into: views of its entries have the new value, others have it in part."""
        for mate in self.sharing.get(tensor.untyped_storage().data_ptr(), []):
            old = self.known[id(mate)][1]
            partly = joined([old, value], site) if overlap(mate, tensor) else old
            recorded = tensor.requires_grad and mate.requires_grad  # not by way of a detached view
            self.put(mate, replace(value) if recorded and within(mate, tensor) else partly)
        self.put(tensor, value)


def overlap(a: Tensor, b: Tensor) -> bool:
    """Whether the entries of two views of one memory lie in stretches that meet."""
    (first, last), (start, end) = span(a), span(b)
    return first <= end and start <= last


def within(part: Tensor, whole: Tensor) -> bool:
    """Whether all entries of one view are among those of another, which has no gaps."""
    (first, last), (start, end) = span(part), span(whole)
    return whole.is_contiguous() and start <= first and last <= end


def span(tensor: Tensor) -> tuple[int, int]:
    """The first and the last byte."""
    reach = sum((int(n) - 1) * int(step) for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    begin = int(tensor.storage_offset()) * tensor.element_size()
    return begin, begin + reach * tensor.element_size()


def opaque(tensor: Tensor) -> bool:
    """Whether it has no memory of its own to speak of: a wrapper of ``torch.func``, a sparse tensor."""
    try:
        tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return True
    return tensor.layout != torch.strided
