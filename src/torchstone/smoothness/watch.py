"""A program watched while it runs for good: it runs once, and nothing is put back."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from torchstone.smoothness.call import tensors
from torchstone.smoothness.domain import joined
from torchstone.smoothness.findings import report_of
from torchstone.smoothness.report import Report, Site
from torchstone.smoothness.restore import AsFound
from torchstone.smoothness.sources import sources_of
from torchstone.smoothness.tracer import Tracer
from torchstone.smoothness.unseen import confirmed

T = TypeVar("T")


class Unkept(AsFound):
    """Keeps nothing, since nothing is put back."""

    def keep(self, tensors: Iterable[Tensor], generator: torch.Generator | None) -> None:
        """Do nothing."""

    def keep_attributes(self, tensor: Tensor) -> None:
        """Do nothing."""


class Watch:
    """What :func:`check` finds, of a computation that is wanted for itself, such as the first loss of a training.

    Values, gradients, generators and buffers are those of the computation alone. Lipschitz bounds are not worked out.
    All tensors in between stay in memory as long as the watch does.

    Args:
        params: the parameters, by name.

    Raises:
        ValueError: there are none.

    Example:
        >>> import torch
        >>> weight = torch.ones(3, requires_grad=True)
        >>> watch = Watch({"weight": weight})
        >>> loss = watch.run(lambda: weight.round().sum())
        >>> watch.report(loss).blocked["weight"].code
        'GRAD-ZERO'
    """

    def __init__(self, params: Mapping[str, Tensor]) -> None:
        self.sources = sources_of(None, params, None, "params")
        self.sources.watched(())
        self.tracer = Tracer(self.sources.seen, Unkept((), ()), bounds=False)

    def run(self, program: Callable[..., T], *inputs: Any) -> T:
        """What ``program`` returns."""
        with self.tracer:
            return program(*inputs)

    def report(self, outputs: Any) -> Report:
        """What is known of the tensors in ``outputs``, which were computed in sight."""
        found = list(tensors(outputs))
        result = joined([self.tracer.value(tensor) for tensor in found], Site(op="result"))
        result = confirmed(result, found, self.sources.leaves, self.tracer.values.trusted)
        return report_of(result, result.lipschitz, self.tracer, self.sources, None)
