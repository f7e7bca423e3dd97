"""Looking at a network without disturbing its training."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards each module is in the mode it was in.

    Without it a look at a network in the middle of its training would move its batch statistics and draw its dropout.
    Gradients are as they were: add ``torch.no_grad()`` where none are wanted.

    Args:
        model: the network.

    Example:
        >>> model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(3).eval())
        >>> with evaluating(model):
        ...     model[0].training
        False
        >>> (model[0].training, model[1].training)
        (True, False)
    """
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training
