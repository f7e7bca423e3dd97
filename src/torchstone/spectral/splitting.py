"""Convex polygons, cut by a straight line each, all at once."""

import torch
from jaxtyping import Float
from torch import Tensor


def split(vertices: Float[Tensor, "p v 2"], levels: Float[Tensor, "p v"]) -> tuple[Tensor, Tensor]:
    """Cut each polygon along the line on which an affine function vanishes.

    Args:
        vertices: corners in order, shape (p, v, 2); polygons with fewer corners repeat their last.
        levels: the function at the corners, exactly 0 at a corner on the line; of both signs on each polygon.

    Returns:
        The parts on which the function is at least 0, and those on which it is at most 0, each (p, w, 2).
    """
    following, next_levels = vertices.roll(-1, dims=1), levels.roll(-1, dims=1)
    crossed = levels * next_levels < 0
    share = torch.where(crossed, levels / torch.where(crossed, levels - next_levels, 1), 0)
    cuts = torch.lerp(vertices, following, share[..., None])
    points = torch.stack([vertices, cuts], 2).flatten(1, 2)  # corner, cut behind it, next corner, ...
    fresh = torch.cat([torch.ones_like(crossed[:, :1]), (vertices[:, 1:] != vertices[:, :-1]).any(2)], 1)
    above, below = (torch.stack([fresh & side, crossed], 2).flatten(1) for side in (levels >= 0, levels <= 0))
    return _kept(points, above), _kept(points, below)


def _kept(points: Float[Tensor, "p m 2"], keep: Tensor) -> Float[Tensor, "p w 2"]:
    """The marked points of each row in their order; shorter rows repeat their last."""
    counts = keep.sum(1)
    order = keep.logical_not().to(torch.uint8).argsort(dim=1, stable=True)[:, : int(counts.max())]
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    order = order.gather(1, torch.minimum(places, counts[:, None] - 1))
    return points.gather(1, order[..., None].expand(-1, -1, 2))


def stacked(parts: list[Float[Tensor, "p v 2"]]) -> Float[Tensor, "p v 2"]:
    """Polygons of several lists in one, each with as many corners as the one that has most."""
    widest = max(part.shape[1] for part in parts)
    return torch.cat([torch.cat([part, part[:, -1:].expand(-1, widest - part.shape[1], 2)], 1) for part in parts])
