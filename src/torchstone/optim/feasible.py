"""A feasible set, onto which parameters are projected after every step."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

Feasible = tuple[float, float] | Callable[[Tensor], Tensor]
"""A box (lo, hi) for every number of a parameter, or a projection from tensor to tensor."""


def project(optimizer: Optimizer, feasible: Feasible) -> RemovableHandle:
    r"""Keep the parameters of ``optimizer`` in a feasible set: project them after every step.

    .. math:: x \leftarrow \Pi_F(x), \qquad \text{box: } x_i \leftarrow \min(\max(x_i, lo), hi)

    The adaptive rules' theory projects in the metric :math:`\|y\|_{\sqrt{V}}^2 = \sum_i \sqrt{V_i} y_i^2`. For a box
    each number has a term and a constraint of its own, so the weights drop out and clamping is that projection, too;
    for other sets a callable projects in the metric that it has.

    Args:
        optimizer: any of torch's kind; parameters are projected from its next step on, whether they had a gradient or
            not.
        feasible: :math:`F`: ``(lo, hi)``, either of which may be infinite, or a callable from a parameter's tensor to
            a tensor of its shape.

    Returns:
        A handle whose ``remove()`` ends it.

    Raises:
        ValueError: ``lo`` is above ``hi``, or nan; in a step: the callable returned another shape.
        TypeError: ``feasible`` is neither; in a step: a box for complex parameters.

    >>> x = torch.tensor([0.5, 3.0], requires_grad=True)
    >>> optimizer = torch.optim.SGD([x], lr=1.0)
    >>> handle = project(optimizer, (-1.0, 1.0))
    >>> x.grad = torch.tensor([0.25, 1.0])
    >>> optimizer.step()
    >>> x
    tensor([0.2500, 1.0000], requires_grad=True)

    Paper: Reddi, Kale, Kumar 2018, arXiv:1904.09237, algorithm 1.
    Differs from the paper: a callable is not told the metric.
    """
    onto = feasible if callable(feasible) else box(feasible)

    @torch.no_grad()
    def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.copy_(checked(onto(parameter), parameter))

    return optimizer.register_step_post_hook(after)


def box(bounds: Any) -> Callable[[Tensor], Tensor]:
    """The projection onto a box, checked."""
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise TypeError(f"feasible must be a box (lo, hi) or a callable from tensor to tensor, but it is {bounds!r}.")
    lo, hi = (float(bound) for bound in bounds)
    if math.isnan(lo) or math.isnan(hi) or lo > hi:
        raise ValueError(f"feasible must be a box (lo, hi) with lo <= hi, but it is ({lo}, {hi}).")

    def clamp(x: Tensor) -> Tensor:
        if x.is_complex():
            raise TypeError("feasible is a box, which complex parameters do not have. Give a callable.")
        return x.clamp(lo, hi)

    return clamp


def checked(projected: Tensor, parameter: Tensor) -> Tensor:
    """What a callable returned, if it has the parameter's shape."""
    if projected.shape != parameter.shape:
        raise ValueError(
            f"feasible turned a parameter of shape {tuple(parameter.shape)} into {tuple(projected.shape)}. "
            "It must return a tensor of the same shape."
        )
    return projected
