"""NT-Xent with labels: each positive pair against all negatives of its anchor."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import softplus

from torchstone.metric.inputs import check_number
from torchstone.metric.pairs import all_pairs, delivered


def nt_xent(
    embeddings: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    temperature: float = 0.07,
    *,
    reference: Float[Tensor, "n d"] | None = None,
    reference_labels: Int[Tensor, " n"] | None = None,
) -> Float[Tensor, ""]:
    r"""Normalised temperature-scaled cross-entropy, for pairs that labels define.

    .. math:: L = \frac{1}{|P|} \sum_{(a, p) \in P}
              -\log \frac{e^{S_{ap}/T}}{e^{S_{ap}/T} + \sum_{n \in N_a} e^{S_{an}/T}}

    The other positives of the anchor are not in the denominator. Computed in logarithms, in B² memory, so that it is
    right at any temperature.

    Args:
        embeddings: the anchors, (b, d); :math:`S` are cosines between them.
        labels: class of each, (b,); :math:`P` are the ordered pairs of one class, :math:`N_a` the others' examples.
        temperature: :math:`T`, above 0.
        reference: where positives and negatives come from, (n, d); see
            :func:`~torchstone.metric.batch_all_triplet`.
        reference_labels: their classes, (n,).

    Returns:
        A 0-d tensor, float64 for float64 embeddings, else float32; 0 with gradient zero where there is no positive
        pair or no negative one; nan where an embedding is not finite.

    Raises:
        TypeError: ``embeddings`` are not floating point, or ``labels`` not integers.
        ValueError: shapes do not fit, or ``temperature`` is not above 0.

    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> nt_xent(x, torch.tensor([0, 0, 1]), temperature=1.0)  # log(1 + exp(-1))
    tensor(0.3133)

    Paper: Sohn 2016 (N-pair loss); Chen, Kornblith, Norouzi, Hinton 2020, arXiv:2002.05709, equation 1.
    Differs from the paper: positives are those of one class, not two views of one image.
    """
    check_number("temperature", temperature, 0, open_end=True)
    pairs = all_pairs(embeddings, labels, reference, reference_labels)
    logits = pairs.similarities() / temperature
    none = torch.finfo(logits.dtype).min
    against = logits.masked_fill(~pairs.negative, none).logsumexp(1, keepdim=True)  # (b, 1)
    losses = softplus(against - logits) * pairs.positive
    return delivered(losses.sum() / pairs.positive.sum().clamp(min=1), embeddings)
