"""Nearest neighbours and centroids, for one problem or many, in blocks; ties are always broken alike."""

from collections.abc import Iterator
from typing import Literal

import torch
from jaxtyping import Float, Int, Int64, Real
from torch import Tensor
from torch.nn.functional import one_hot

from torchstone.probes.inputs import (
    check_all_classes,
    check_devices,
    check_features,
    check_finite,
    check_labels,
    check_like,
    delivered,
    examples_by_class,
)
from torchstone.probes.scaling import l2_normalize

Metric = Literal["cosine", "euclidean"]
BLOCK = 2**22  # distances held at once
TIE = 1e-13  # distances that differ by less than this part of the squared norms are equal: rounding decides nothing


@torch.no_grad()
def knn(
    x_train: Real[Tensor, "*e n d"],
    y_train: Int[Tensor, "*e n"],
    x_test: Real[Tensor, "*e m d"],
    k: int = 1,
    *,
    metric: Metric = "cosine",
) -> Int64[Tensor, "*e m"]:
    r"""The class that most of the k nearest training examples have.

    .. math:: d(x, z) = \|x - z\|_2 \text{ (euclidean)}, \qquad 1 - \frac{x^\top z}{\|x\|\,\|z\|} \text{ (cosine)}

    Of training examples that are equally near, the one that comes first is taken; of classes with equally many votes,
    the lowest. Two are equally near if their cosines differ by less than about 2e-13, or their squared distances by
    less than 1e-13 of the largest squared norm about the mean of all: rounding decides nothing. Computed in float64,
    in blocks of test examples of bounded memory.

    Args:
        x_train: (n, d), or (e, n, d) for e problems.
        y_train: (n,) or (e, n), integers from 0.
        x_test: (m, d) or (e, m, d); (m, d) with e problems asks each of them about the same examples.
        k: the number of neighbours, 1 to n.
        metric: ``"cosine"`` or ``"euclidean"``. By cosine, a row of zeros is equally far from everything (warned of).

    Returns:
        Classes, (m,) or (e, m).

    Raises:
        ValueError: shapes don't fit; features are not finite; labels are negative; ``k`` or ``metric`` is out of range.
        TypeError: features are boolean or complex; labels are not integers.

    >>> x, y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.1, 1.0]]), torch.tensor([0, 1, 1])
    >>> knn(x, y, torch.tensor([[9.0, 1.0], [2.0, 3.0]]))
    tensor([0, 1])
    """
    classes = check_problem(x_train, y_train, x_test)
    if not 1 <= k <= x_train.shape[-2]:
        raise ValueError(f"`k` is {k}: it must lie between 1 and the number of training examples, {x_train.shape[-2]}.")
    train, y, test = (t if t.ndim == batched else t[None] for t, batched in ((x_train, 3), (y_train, 2), (x_test, 3)))
    blocks = [vote(nearest(block, k), y.long(), classes) for block in distances(train, test, metric)]
    votes = torch.cat(blocks, 1)
    return votes if x_train.ndim == 3 else votes[0]


@torch.no_grad()
def centroids(
    x: Real[Tensor, "*e n d"], y: Int[Tensor, "*e n"], *, classes: int | None = None
) -> Float[Tensor, "*e c d"]:
    r"""The mean of each class's examples, :math:`\mu_k = \frac{1}{n_k} \sum_{i: y_i = k} x_i`.

    Args:
        x: (n, d), or (e, n, d) for e problems.
        y: (n,) or (e, n), integers from 0; every class must have an example in every problem.
        classes: c; the largest label + 1 if absent.

    Returns:
        (c, d) or (e, c, d), in float32, or float64 for float64 features.

    Raises:
        ValueError: shapes don't fit; features are not finite; labels are out of range; a class has no example.
        TypeError: features are boolean or complex; labels are not integers.

    >>> centroids(torch.tensor([[1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1]))
    tensor([[2.],
            [7.]])

    Paper: Snell, Swersky, Zemel 2017, arXiv:1703.05175, equation 1, calls them prototypes.
    Differs from the paper: nothing.
    """
    check_features(x, "x")
    c = check_labels(y, x.shape[:-1], classes)
    check_devices(("x", x), ("y", y))
    check_all_classes(examples_by_class(y if y.ndim == 2 else y[None], c))
    member = one_hot(y.long(), c).double()  # (..., n, c)
    means = member.mT @ x.double() / member.sum(-2).unsqueeze(-1)
    check_finite(means, "x")
    return means.to(delivered(x.dtype))


def nearest_centroid(
    x_train: Real[Tensor, "*e n d"],
    y_train: Int[Tensor, "*e n"],
    x_test: Real[Tensor, "*e m d"],
    *,
    metric: Metric = "euclidean",
) -> Int64[Tensor, "*e m"]:
    r"""The class whose centroid is nearest, :math:`\arg\min_k d(x, \mu_k)`; the lowest of equally near ones.

    Args:
        x_train: (n, d), or (e, n, d) for e problems.
        y_train: (n,) or (e, n), integers from 0; every class needs an example in every problem.
        x_test: (m, d) or (e, m, d).
        metric: :math:`d`, as in :func:`knn`.

    Returns:
        Classes, (m,) or (e, m).

    Raises:
        ValueError: as :func:`knn` and :func:`centroids` do.
        TypeError: likewise.

    >>> nearest_centroid(torch.tensor([[1.0], [3.0], [7.0]]), torch.tensor([0, 0, 1]), torch.tensor([[4.0], [5.0]]))
    tensor([0, 1])

    Paper: Wang, Chao, Weinberger, van der Maaten 2019, arXiv:1911.04623, on normalised features (CL2N).
    Differs from the paper: features are taken as they come; centre and normalise them first (:func:`l2_normalize`).
    """
    check_problem(x_train, y_train, x_test)
    return nearest_mean(centroids(x_train, y_train), x_test, metric)


def nearest_mean(means: Float[Tensor, "*e c d"], x: Real[Tensor, "*e m d"], metric: Metric) -> Int64[Tensor, "*e m"]:
    """Which of the ``means`` is nearest to each row of ``x``."""
    classes = torch.arange(means.shape[-2], device=means.device).expand(means.shape[:-1])
    return knn(means, classes, x, metric=metric)


def check_problem(x_train: Tensor, y_train: Tensor, x_test: Tensor) -> int:
    """The number of classes, after refusing shapes that don't fit and values that aren't finite."""
    for name, x in (("x_train", x_train), ("x_test", x_test)):
        check_features(x, name)
        check_finite(x, name)
    classes = check_labels(y_train, x_train.shape[:-1], None, "y_train")
    check_devices(("x_train", x_train), ("y_train", y_train), ("x_test", x_test))
    check_like(x_test, "x_test", x_train.shape, "`x_train`")
    return classes


def distances(
    train: Real[Tensor, "e n d"], test: Real[Tensor, "e m d"], metric: Metric
) -> Iterator[Float[Tensor, "e b n"]]:
    """1 - cosine, or squared Euclidean distances, rounded so that ties are ties; in blocks of b test examples."""
    if metric not in ("cosine", "euclidean"):
        raise ValueError(f"`metric` is {metric!r}: it must be 'cosine' or 'euclidean'.")
    if metric == "cosine":
        train, test = l2_normalize(train.double()), l2_normalize(test.double())
    else:
        centre = train.mean((0, 1), dtype=torch.float64)  # a common offset costs digits
        train, test = train.double() - centre, test.double() - centre
    squares = train.square().sum(-1)[:, None]  # (e, 1, n)
    for block in torch.split(test, max(1, BLOCK // squares.numel()), 1):
        products = block @ train.mT
        own = block.square().sum(-1, keepdim=True)
        unit = TIE * (own + squares.amax(-1, keepdim=True)).clamp(min=torch.finfo(torch.float64).tiny / TIE)
        exact = 1 - products if metric == "cosine" else own + squares - 2 * products
        yield (exact / unit).round()


def nearest(distance: Float[Tensor, "e m n"], k: int) -> Int64[Tensor, "e m k"]:
    """The positions of the k nearest examples, the first ones of equally near; in no order of nearness."""
    limit = distance.kthvalue(k, -1, keepdim=True).values
    closer, level = distance < limit, distance == limit
    room = k - closer.sum(-1, keepdim=True)
    chosen = closer | (level & (level.cumsum(-1) <= room))
    return chosen.nonzero()[:, -1].view(*distance.shape[:-1], k)


def vote(positions: Int64[Tensor, "e m k"], y: Int64[Tensor, "e n"], classes: int) -> Int64[Tensor, "e m"]:
    """The most frequent class of the examples at ``positions``, the lowest of equally frequent ones."""
    labels = y[:, None].expand(-1, positions.shape[1], -1).gather(2, positions)
    votes = torch.zeros(*labels.shape[:-1], classes, device=y.device)
    return votes.scatter_add_(-1, labels, torch.ones_like(labels, dtype=votes.dtype)).argmax(-1)
