"""The inner loop of MAML: gradient steps on a task, as a differentiable function of where they start."""

from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor

Params = dict[str, Tensor]


def adapt(
    loss: Callable[[Params], Float[Tensor, ""]],
    params: Mapping[str, Tensor],
    *,
    rate: float,
    steps: int = 1,
    first_order: bool = False,
) -> Params:
    r"""Gradient descent on a task, through which gradients flow back to its start.

    .. math:: \theta_{j+1} = \theta_j - \alpha \nabla L(\theta_j), \qquad \theta_0 = \theta

    Args:
        loss: :math:`L`, a function of named parameters.
        params: :math:`\theta`, which require gradients.
        rate: :math:`\alpha`, 0 or more.
        steps: how many, 0 or more.
        first_order: treat :math:`\nabla L` as a constant: no second derivatives, so that
            :math:`\partial\theta_j / \partial\theta` is the identity.

    Returns:
        The adapted parameters, by the same names. Those that ``loss`` doesn't depend on stay.

    Raises:
        ValueError: ``rate`` or ``steps`` is negative.

    >>> start = {"w": torch.tensor(4.0, requires_grad=True)}
    >>> end = adapt(lambda p: p["w"] ** 2, start, rate=0.25)
    >>> end["w"].item(), torch.autograd.grad(end["w"], start["w"])[0].item()
    (2.0, 0.5)

    Paper: Finn, Abbeel, Levine 2017, arXiv:1703.03400, section 2.2; first order in section 5.2.
    Differs from the paper: nothing.
    """
    if not 0 <= rate < float("inf") or steps < 0:
        raise ValueError(f"`rate` and `steps` must be 0 or more, but are {rate} and {steps}.")
    adapted = dict(params)
    for _ in range(steps):
        slopes = torch.autograd.grad(
            loss(adapted),
            list(adapted.values()),
            create_graph=not first_order,
            allow_unused=True,
            materialize_grads=True,
        )
        adapted = {name: value - rate * slope for (name, value), slope in zip(adapted.items(), slopes, strict=True)}
    return adapted
