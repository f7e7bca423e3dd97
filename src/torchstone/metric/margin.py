"""The margin loss over all triplets, with a boundary that may be learned, for all classes or for each."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from torchstone.metric.inputs import check_number, check_range
from torchstone.metric.pairs import Reduction, all_pairs, delivered, reduced


def batch_all_margin(
    embeddings: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    margin: float = 0.2,
    beta: float | Float[Tensor, "..."] = 1.2,
    *,
    nu: float = 0.0,
    reference: Float[Tensor, "n d"] | None = None,
    reference_labels: Int[Tensor, " n"] | None = None,
    normalize: bool = True,
    reduction: Reduction = "nonzero",
) -> Float[Tensor, ""]:
    r"""The margin loss of all triplets, exactly, in B² time and memory.

    .. math:: L = \frac{1}{Z} \sum_{a} \sum_{p \in P_a} \sum_{n \in N_a}
              \left([D_{ap} - \beta + m]_+ + [\beta + m - D_{an}]_+\right) + \nu \beta

    Either term depends on one pair only, so a positive pair counts as often as its anchor has negatives, and a
    negative pair as often as its anchor has positives. :math:`Z` is the number of terms above 0, of both kinds.

    Args:
        embeddings: the anchors, (b, d); :math:`D` are Euclidean distances between them.
        labels: class of each, (b,).
        margin: :math:`m`.
        beta: :math:`\beta`, the boundary between near and far: a number, a tensor of one element, or one of (c,)
            elements, :math:`\beta_{y(a)}` by the anchor's class; it may require a gradient.
        nu: :math:`\nu`, the price of a large :math:`\beta`. For one of each class, the price is paid for each triplet
            and divided by :math:`Z`.
        reference: where positives and negatives come from, (n, d); see
            :func:`~torchstone.metric.batch_all_triplet`.
        reference_labels: their classes, (n,).
        normalize: whether embeddings are first brought to length 1.
        reduction: ``"nonzero"`` divides by :math:`Z`, ``"mean"`` by the number of triplets, ``"sum"`` does not divide.

    Returns:
        A 0-d tensor, float64 for float64 embeddings, else float32; 0 with gradient zero where there is no triplet;
        nan where an embedding is not finite.

    Raises:
        TypeError: ``embeddings`` are not floating point, or ``labels`` not integers.
        ValueError: shapes do not fit, a number is not finite, ``nu`` is negative, a label has no :math:`\beta`, or
            ``reduction`` is unknown.

    >>> x = torch.tensor([[0.0], [3.0], [4.0]])
    >>> batch_all_margin(x, torch.tensor([0, 0, 1]), 0.5, 2.0, normalize=False)  # 1.5, 1.5 and [2.5 - 1]
    tensor(1.5000)

    Paper: Wu, Manmatha, Smola, Krähenbühl 2017, arXiv:1706.07567, section 4; over all triplets as in Musgrave,
        Belongie, Lim 2020, arXiv:2003.08505.
    Differs from the paper: negatives are not sampled (:func:`~torchstone.metric.distance_weighted_triplets` does so).
    """
    check_number("margin", margin)
    check_number("nu", nu, 0)
    pairs = all_pairs(embeddings, labels, reference, reference_labels, normalize=normalize)
    boundary = _boundaries(beta, labels, pairs.left)  # (b, 1) or (1, 1)
    distance = pairs.distances()
    positives, negatives = pairs.positive * pairs.negative.sum(1, True), pairs.negative * pairs.positive.sum(1, True)
    pull, push = (distance - boundary + margin).relu(), (boundary + margin - distance).relu()
    nonzero = (positives * (pull > 0)).sum() + (negatives * (push > 0)).sum()
    total = (positives * pull + negatives * push).sum()
    triplets = pairs.positive.sum(1, True) * pairs.negative.sum(1, True)  # (b, 1)
    if len(boundary) > 1:
        total, price = total + nu * (boundary * triplets).sum(), 0 * boundary.sum()
    else:
        price = nu * boundary.sum()
    return reduced(total, nonzero, triplets.sum(), reduction, embeddings) + delivered(price, embeddings)


class MarginLoss(nn.Module):
    """:func:`batch_all_margin` with a learned boundary.

    Args:
        margin: :math:`m`.
        beta: where the boundary starts.
        classes: the number of classes for a boundary of each; ``None`` for one boundary.
        nu: the price of a large boundary.

    Example:
        >>> loss = MarginLoss(classes=3)
        >>> [tuple(weights.shape) for weights in loss.parameters()]
        [(3,)]
    """

    def __init__(self, margin: float = 0.2, beta: float = 1.2, *, classes: int | None = None, nu: float = 0.0) -> None:
        super().__init__()
        check_number("beta", beta)
        self.margin, self.nu = margin, nu
        self.beta = nn.Parameter(torch.full((classes or 1,), float(beta)))

    def forward(self, embeddings: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The loss of a batch."""
        return batch_all_margin(embeddings, labels, self.margin, self.beta, nu=self.nu)


def _boundaries(beta: float | Tensor, labels: Tensor, like: Tensor) -> Tensor:
    """The boundary of each anchor, (b, 1), or the one of all, (1, 1)."""
    values = torch.as_tensor(beta).to(like).reshape(-1)
    if not values.isfinite().all() or len(values) == 0:
        raise ValueError(f"`beta` must be finite, one number or one for each class, but is {beta}.")
    if len(values) > 1:
        check_range(labels, len(values), "`beta`")
        values = values[labels.long()]
    return values[:, None]
