"""Negatives drawn so that all distances are equally likely, as far as the batch has them."""

import torch
from jaxtyping import Float, Int, Int64
from torch import Tensor

from torchstone.metric.inputs import check_finite, check_number
from torchstone.metric.pairs import all_pairs


@torch.no_grad()
def distance_weighted_triplets(
    embeddings: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    *,
    generator: torch.Generator,
    cutoff: float = 0.5,
    horizon: float = 1.4,
) -> tuple[Int64[Tensor, " t"], Int64[Tensor, " t"], Int64[Tensor, " t"]]:
    r"""One negative for each positive pair, drawn against the density of distances on a sphere.

    .. math:: P(n \mid a) \propto \frac{1}{q(\max(D_{an}, \lambda))}, \qquad
              q(D) \propto D^{d-2} \left(1 - \tfrac{1}{4} D^2\right)^{\frac{d-3}{2}}

    :math:`q` is the density of the distance of two random points of the unit sphere in d dimensions, nearly all of them
    about :math:`\sqrt 2` apart. Negatives at ``horizon`` or beyond are not drawn, since they would have no loss; where
    an anchor has no nearer one, all its negatives are equally likely.

    Args:
        embeddings: anchors, positives and negatives, (b, d); brought to length 1 first.
        labels: class of each, (b,).
        generator: what is drawn from, on whatever device.
        cutoff: :math:`\lambda`, below which no negative gets likelier, against noise; above 0.
        horizon: distance at which the loss vanishes, above 0.

    Returns:
        Rows of anchors, positives and negatives, (t,) each, one triplet for every ordered pair of one class whose
        anchor has a negative; empty where there are none. pytorch-metric-learning takes them as ``indices_tuple``.

    Raises:
        TypeError: ``embeddings`` are not floating point, or ``labels`` not integers.
        ValueError: shapes do not fit, embeddings are not finite, or a number is not above 0.

    >>> x = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.6, 0.8], [-1.0, 0.0]])
    >>> generator = torch.Generator().manual_seed(0)
    >>> distance_weighted_triplets(x, torch.tensor([0, 0, 1, 1]), generator=generator)
    (tensor([0, 1, 2, 3]), tensor([1, 0, 3, 2]), tensor([2, 2, 1, 0]))

    Paper: Wu, Manmatha, Smola, Krähenbühl 2017, arXiv:1706.07567, section 4.
    Differs from the paper: its text caps the weights, its code the distance; this caps the distance.
    """
    check_number("cutoff", cutoff, 0, open_end=True)
    check_number("horizon", horizon, 0, open_end=True)
    pairs = all_pairs(embeddings, labels, None, None)
    check_finite(embeddings, "embeddings")
    anchors, positives = (pairs.positive & pairs.negative.any(1, keepdim=True)).nonzero(as_tuple=True)
    if not len(anchors):
        return anchors, positives, anchors.clone()
    chances = negative_chances(pairs.distances(), pairs.negative, embeddings.shape[1], cutoff, horizon)
    chosen = chances[anchors].to(generator.device).multinomial(1, generator=generator)
    return anchors, positives, chosen.squeeze(1).to(anchors.device)


def negative_chances(
    distance: Float[Tensor, "b n"], negative: Tensor, d: int, cutoff: float, horizon: float
) -> Float[Tensor, "b n"]:
    """The chance of each negative of an anchor; rows of anchors without a negative are 0."""
    capped = distance.clamp(min=cutoff)
    logs = (2 - d) * capped.log() - (d - 3) / 2 * (1 - capped.square() / 4).clamp(min=1e-12).log()
    near = negative & (distance < horizon)
    logs = logs.where(near.any(1, keepdim=True), 0.0)  # none is near: all are equally likely
    drawn = torch.where(near.any(1, keepdim=True), near, negative)
    highest = logs.masked_fill(~drawn, -torch.inf).amax(1, keepdim=True).nan_to_num(neginf=0.0)
    weights = (logs - highest).exp().where(drawn, 0.0)
    return weights / weights.sum(1, keepdim=True).clamp(min=1e-300)
