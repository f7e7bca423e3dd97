"""Leave everything as it was found: buffers, gradients, training flags, generators, and what was written into."""

import random
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class AsFound:
    """On exit puts back what the program in the block changed.

    Args:
        modules: whose attributes (training flags, counters, states) and buffers are kept.
        parameters: whose gradients are kept; inputs are given too.
    """

    def __init__(self, modules: Iterable[nn.Module], parameters: Iterable[Tensor]) -> None:
        self.modules = list(dict.fromkeys(part for module in modules for part in module.modules()))
        self.parameters = [p for p in parameters if p.is_leaf and not p.is_inference()]
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        self.memory: list[tuple[Tensor, Tensor]] = []
        self.generators: dict[int, tuple[torch.Generator, Tensor]] = {}

    def __enter__(self) -> "AsFound":
        self.attributes = [(module, dict(vars(module))) for module in self.modules]
        self.buffers = [(module, dict(module._buffers)) for module in self.modules]
        self.trainable = [(p, p.requires_grad) for p in self.parameters]
        self.gradients = [(p, p.grad, None if p.grad is None else p.grad.clone()) for p in self.parameters]
        devices = {p.device for p in self.parameters} if "cuda" in {p.device.type for p in self.parameters} else set()
        self.fork = torch.random.fork_rng([d for d in devices if d.type == "cuda"])
        self.fork.__enter__()
        self.python, self.numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
        return self

    def keep(self, tensors: Iterable[Tensor], generator: torch.Generator | None) -> None:
        """Remember tensors from outside, before something is written into them, and a generator before it draws."""
        for tensor in tensors:
            if id(tensor) not in self.kept and tensor.grad_fn is None and not tensor.is_inference():
                self.kept[id(tensor)] = (tensor, tensor.detach().clone())
        if generator is not None and id(generator) not in self.generators:
            self.generators[id(generator)] = (generator, generator.get_state())

    def keep_attributes(self, tensor: Tensor) -> None:
        """Remember which memory a tensor from outside has, before it gets another."""
        if tensor.is_leaf:
            self.memory.append((tensor, tensor.data))

    def __exit__(self, *error: Any) -> None:
        random.setstate(self.python)
        np.random.set_state(self.numpy)  # noqa: NPY002
        self.fork.__exit__(*(error or sys.exc_info()))
        for generator, state in self.generators.values():
            generator.set_state(state)
        for tensor, data in reversed(self.memory):
            tensor.data = data
        with torch.no_grad():
            for tensor, data in reversed(self.kept.values()):
                if not torch.equal(tensor, data):  # not by its version: batch_norm writes without a trace
                    put_back(tensor, data)
            for parameter, gradient, before in self.gradients:
                parameter.grad = gradient
                if gradient is not None and before is not None:
                    gradient.copy_(before)
        for parameter, trainable in self.trainable:
            parameter.requires_grad = trainable
        for module, attributes in self.attributes:
            vars(module).clear()
            vars(module).update(attributes)
        for module, buffers in self.buffers:
            module._buffers = buffers


def put_back(tensor: Tensor, data: Tensor) -> None:
    """Give a tensor its data back, in the memory it has, unless it was resized."""
    if tensor.shape == data.shape:
        tensor.copy_(data)
    else:
        tensor.data = data
