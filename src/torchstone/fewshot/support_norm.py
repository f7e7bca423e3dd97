"""Batch normalisation by the statistics of a support: the same in training and test, and no query sees another."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def normalised_by_support(model: nn.Module, s: int) -> Iterator[None]:
    r"""Inside the block every batch normalisation in ``model`` takes mean and variance of the first ``s`` rows.

    .. math:: y = w\,\frac{x - \mu_S}{\sqrt{\sigma^2_S + \epsilon}} + b

    Its running averages are neither used nor changed, in training and evaluation mode alike.

    >>> import torch
    >>> norm = nn.BatchNorm1d(1)
    >>> with normalised_by_support(norm, 2):
    ...     norm(torch.tensor([[-1.0], [1.0], [5.0]])).round(decimals=3).flatten().tolist()
    [-1.0, 1.0, 5.0]

    Paper: Bronskill, Gordon, Requeima, Nowozin, Turner 2020, arXiv:2003.03284 ("MetaBN").
    Differs from the paper: nothing.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.forward = partial(by_support, norm, s)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def by_support(norm: _BatchNorm, s: int, input: Float[Tensor, "n d ..."]) -> Float[Tensor, "n d ..."]:
    """What ``norm`` gives for ``input``, with the statistics of its first ``s`` rows."""
    axes = [axis for axis in range(input.ndim) if axis != 1]
    mean = input[:s].mean(axes, keepdim=True)
    variance = input[:s].var(axes, keepdim=True, correction=0)
    y = (input - mean) * (variance + norm.eps).rsqrt()
    if not norm.affine:
        return y
    weight, bias = (value.view(-1, *[1] * (input.ndim - 2)) for value in (norm.weight, norm.bias))
    return y * weight + bias
