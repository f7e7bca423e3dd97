"""Where the support of a distribution ends, and whether parameters move that edge."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.distributions import Distribution, MixtureSameFamily, TransformedDistribution, constraints

from torchstone.programs.expectation.sampling import innermost
from torchstone.smoothness.unseen import leaves_below


def parameters_move_the_edge(p: Distribution) -> bool:
    """Whether a finite end of the support depends on parameters, as those of a ``Uniform`` between them do.

    >>> from torch.distributions import Exponential, Normal, Uniform
    >>> theta = torch.tensor(1.0, requires_grad=True)
    >>> [parameters_move_the_edge(p) for p in (Uniform(0.0, theta), Exponential(theta), Normal(theta, 1.0))]
    [True, False, False]
    """
    return any(has_slope(edge) for edge in edges(p))


def edges(p: Distribution) -> Iterator[Tensor]:
    """The finite ends of the support of numbers; none where it has another shape."""
    base = innermost(p)
    if isinstance(base, MixtureSameFamily):
        yield from edges(base.component_distribution)
    elif type(base) is TransformedDistribution:  # its kinds (LogNormal, Pareto) say their support, itself it does not
        if not any(transform.domain.event_dim for transform in base.transforms):
            yield from (transformed(edge, base) for edge in edges(base.base_dist))
    else:
        support = base.support
        support = support.base_constraint if isinstance(support, constraints.independent) else support
        ends = [getattr(support, name, torch.inf) for name in ("lower_bound", "upper_bound")]
        yield from (end for end in map(torch.as_tensor, ends) if end.isfinite().all())


def transformed(edge: Tensor, p: TransformedDistribution) -> Tensor:
    """Where the transforms put it."""
    for transform in p.transforms:
        edge = transform(edge)
    return edge


def has_slope(edge: Tensor) -> bool:
    """Whether its derivative in some parameter is not 0."""
    if not edge.requires_grad:
        return False
    leaves = [edge] if edge.is_leaf else list(leaves_below([edge]))
    slopes = torch.autograd.grad(edge.sum(), leaves, retain_graph=True)
    return any(bool(slope.any()) for slope in slopes)
