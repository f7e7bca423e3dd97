"""The global generators, lent: models draw dropout from them, so a fit seeds them and puts them back."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

Generators = Mapping[str, torch.Generator]


def generator_states(generators: Generators) -> dict[str, Tensor]:
    """Where each generator stands."""
    return {name: generator.get_state() for name, generator in generators.items()}


def set_generator_states(generators: Generators, states: Mapping[str, Tensor]) -> None:
    """Put each generator where ``states`` says; states of generators that are not there are passed over."""
    for name, generator in generators.items():
        if name in states:
            generator.set_state(states[name])


@contextmanager
def seeded_globals(models: Iterable[nn.Module], seed: int) -> Iterator[dict[str, torch.Generator]]:
    """Seed torch's global generators (the CPU's, and those of the CUDA devices of ``models``) inside the block.

    Yields them by device name; when the block ends they stand where they stood before it.
    """
    devices = {parameter.device for model in models for parameter in model.parameters()}
    generators = {"cpu": torch.default_generator}
    for device in sorted(str(device) for device in devices if device.type == "cuda"):
        generators[device] = torch.cuda.default_generators[torch.device(device).index]
    before = generator_states(generators)
    for generator in generators.values():
        generator.manual_seed(seed)
    try:
        yield generators
    finally:
        set_generator_states(generators, before)


def isolated(items: Iterator[Any], generators: Generators, seed: int) -> Iterator[Any]:
    """Read ``items`` with ``generators`` in a stream of their own, which nothing outside ``items`` draws from."""
    inner = {name: torch.Generator(generator.device).manual_seed(seed) for name, generator in generators.items()}
    inside = generator_states(inner)
    while True:
        outside = generator_states(generators)
        set_generator_states(generators, inside)
        try:
            item = next(items)
        except StopIteration:
            return
        finally:
            inside = generator_states(generators)
            set_generator_states(generators, outside)
        yield item
