"""Clustering metrics, to show why retrieval metrics are better: they depend on k-means and flatter many classes."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from torchstone.metric.inputs import check_embeddings, check_finite, check_labels


@dataclass(frozen=True)
class ClusteringMetrics:
    """How well the clusters of k-means are the classes.

    Args:
        nmi: normalised mutual information, in [0, 1], arithmetic mean of the entropies below it.
        ami: the same, adjusted for chance: about 0 for random clusters.
        f1: of the pairs of one class, as found by the pairs of one cluster, in [0, 1].
    """

    nmi: float
    ami: float
    f1: float


@torch.no_grad()
def clustering_metrics(
    embeddings: Float[Tensor, "n d"], labels: Int[Tensor, " n"], *, seed: int, clusters: int | None = None
) -> ClusteringMetrics:
    r"""NMI, AMI and pairwise F1 of a k-means clustering, **for showing why not**.

    .. math:: \mathrm{NMI} = \frac{2\, I(Y; C)}{H(Y) + H(C)}, \qquad F_1 = \frac{2 PR}{P + R}

    Where there are few examples of each class, NMI is high even for random embeddings. All three depend on the seed
    and on k, say nothing of how far apart clusters are, and cost a clustering. Of the three, only AMI is corrected for
    chance. Compare embeddings by :func:`~torchstone.metric.retrieval_metrics`.

    Args:
        embeddings: (n, d).
        labels: class of each, (n,): :math:`Y`; :math:`C` is its cluster.
        seed: where k-means starts (one start).
        clusters: k; by default the number of classes.

    Returns:
        The three numbers.

    Raises:
        TypeError: embeddings are not floating point, or labels not integers.
        ValueError: shapes do not fit, values are not finite, or ``clusters`` is not in 1 ... n.

    >>> generator = torch.Generator().manual_seed(0)
    >>> noise, labels = torch.randn(100, 8, generator=generator), torch.arange(100) // 2
    >>> random = clustering_metrics(noise, labels, seed=0)
    >>> random.nmi > 0.7, abs(random.ami) < 0.1
    (True, True)

    Paper: Musgrave, Belongie, Lim 2020, arXiv:2003.08505, section 2.2.
    Differs from the paper: scikit-learn's k-means instead of faiss'.
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score, pair_confusion_matrix

    check_embeddings(embeddings)
    check_labels(labels, embeddings)
    check_finite(embeddings, "embeddings")
    k = len(labels.unique()) if clusters is None else clusters  # type: ignore[no-untyped-call]
    if not 1 <= k <= len(embeddings):
        raise ValueError(f"`clusters` must lie between 1 and the number of examples {len(embeddings)}, but is {k}.")
    found = KMeans(k, n_init=1, random_state=seed).fit_predict(embeddings.double().cpu().numpy())
    classes = labels.cpu().numpy()
    (_, only_cluster), (only_class, both) = pair_confusion_matrix(classes, found).tolist()
    return ClusteringMetrics(
        nmi=float(normalized_mutual_info_score(classes, found)),
        ami=float(adjusted_mutual_info_score(classes, found)),
        f1=2 * both / max(1, 2 * both + only_cluster + only_class),
    )
