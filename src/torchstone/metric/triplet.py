"""The batch-all triplet loss: every triplet counts, yet none is built."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from torchstone.metric.inputs import check_number
from torchstone.metric.pairs import Reduction, all_pairs, reduced


def batch_all_triplet(
    embeddings: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    margin: float = 0.05,
    *,
    reference: Float[Tensor, "n d"] | None = None,
    reference_labels: Int[Tensor, " n"] | None = None,
    normalize: bool = True,
    reduction: Reduction = "nonzero",
) -> Float[Tensor, ""]:
    r"""The hinge of all triplets, exactly, in O(B² log B) time and B² memory instead of B³.

    .. math:: L = \frac{1}{|\{\ell > 0\}|} \sum_{a} \sum_{p \in P_a} \sum_{n \in N_a} \ell_{apn}, \qquad
              \ell_{apn} = [D_{ap} - D_{an} + m]_+

    A triplet is active where :math:`D_{an} < D_{ap} + m`. Sort the thresholds :math:`D_{ap} + m` of an anchor and look
    up each negative among them: that counts the active triplets of every pair, and the loss is linear in the
    distances with these counts as its weights. Values and gradients are those of the sum over triplets, in float64.

    Args:
        embeddings: the anchors, (b, d); :math:`D` are Euclidean distances between them.
        labels: class of each, (b,); positives :math:`P_a` share the anchor's, negatives :math:`N_a` do not.
        margin: :math:`m`, of any sign.
        reference: where positives and negatives come from, (n, d), for example a memory bank; an entry that is the
            anchor itself counts as a positive. Without it: the other examples of the batch.
        reference_labels: their classes, (n,).
        normalize: whether embeddings are first brought to length 1.
        reduction: ``"nonzero"`` divides the sum by the number of active triplets, ``"mean"`` by the number of all,
            ``"sum"`` does not divide.

    Returns:
        A 0-d tensor, float64 for float64 embeddings, else float32; 0 with gradient zero where there is no active
        triplet (one class only, no positives); nan where an embedding is not finite. Where two embeddings coincide,
        their distance has gradient zero.

    Raises:
        TypeError: ``embeddings`` are not floating point, or ``labels`` not integers.
        ValueError: shapes do not fit, ``margin`` is not finite, or ``reduction`` is unknown.

    >>> x = torch.tensor([[0.0], [3.0], [4.0]])
    >>> batch_all_triplet(x, torch.tensor([0, 0, 1]), margin=1.0, normalize=False)  # only [3 - 1 + 1]
    tensor(3.)

    Paper: Weinberger, Saul 2009 (LMNN), as in Musgrave, Belongie, Lim 2020, arXiv:2003.08505, section 3.
    Differs from the paper: in how it is computed.
    """
    check_number("margin", margin)
    pairs = all_pairs(embeddings, labels, reference, reference_labels, normalize=normalize)
    distance = pairs.distances()
    weights, active = active_counts(distance.detach(), pairs.positive, pairs.negative, margin)
    total = (weights * distance).sum() + margin * active.to(distance)
    return reduced(total, active, pairs.triplets, reduction, embeddings)


def active_counts(
    distance: Float[Tensor, "b n"], positive: Bool[Tensor, "b n"], negative: Bool[Tensor, "b n"], margin: float
) -> tuple[Float[Tensor, "b n"], Int[Tensor, ""]]:
    """In how many active triplets each pair stands, with a minus for negatives (b, n), and how many there are."""
    most = int(positive.sum(1).max())
    columns = positive.to(torch.uint8).topk(most, dim=1).indices  # (b, most), those of an anchor with fewer are filled
    thresholds = (distance + margin).masked_fill(~positive, -torch.inf).gather(1, columns)
    thresholds, order = thresholds.sort(dim=1)
    inactive = torch.searchsorted(thresholds, distance, right=True)  # (b, n): thresholds that are no larger
    of_negatives = (most - inactive) * negative
    begun = inactive.new_zeros(len(distance), most + 1).scatter_add_(1, inactive, negative.long())
    of_positives = begun.cumsum(1)[:, :most]
    weights = (-of_negatives).scatter_add_(1, columns.gather(1, order), of_positives)
    return weights.to(distance.dtype), of_positives.sum()
