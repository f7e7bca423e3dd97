"""Looking at a network without touching it: in evaluation mode, without gradients, with its output as a function."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

Output = Callable[[nn.Module, Tensor], Tensor]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients inside; afterwards each module is in the mode it was in.

    Without it a look at a network in the middle of its training would move its batch statistics and draw its dropout.
    """
    before = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in before.items():
            module.training = training


def model_output(model: nn.Module, x: Tensor) -> Tensor:
    """``model(x)``."""
    found: Tensor = model(x)
    return found


def one_number_each(values: Tensor, n: int) -> Float[Tensor, " n"]:
    """A network's outputs (n,) or (n, 1) as a vector.

    Raises:
        ValueError: they have another shape.
    """
    if values.shape not in {(n,), (n, 1)}:
        raise ValueError(
            f"The network must give one number for each of the {n} rows of x, shape ({n},) or ({n}, 1), but its output "
            f"has shape {tuple(values.shape)}. Choose one number by output=lambda model, x: model(x)[:, 0], say."
        )
    return values.reshape(n)
