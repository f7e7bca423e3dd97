"""The classifiers on a support: fitted to all episodes at once, then asked for scores of the queries."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from torchstone.fewshot.embedding import unit_rows
from torchstone.fewshot.inputs import check_labels
from torchstone.probes import logistic_regression

Scorer = Callable[[Tensor], Tensor]
"""From queries (e, q, d) to scores (e, q, c); the class is that of the highest score, the lowest one of equals."""


@dataclass(frozen=True)
class Head:
    """A classifier by name.

    Args:
        fit: from supports (e, s, d), labels (s,) that are the same in all e episodes, the number of ways and C, to a
            :data:`Scorer`.
        unit: whether features are L2-normalised first, unless a caller says otherwise.
        probabilities: whether the softmax of the scores is meant as probabilities.
    """

    fit: Callable[[Float[Tensor, "e s d"], Int64[Tensor, " s"], int, float], Scorer]
    unit: bool = True
    probabilities: bool = False


def fit_head(
    head: str,
    support: Float[Tensor, "e s d"],
    labels: Int64[Tensor, " s"],
    *,
    c: float = 1.0,
    l2: bool | None = None,
) -> Scorer:
    r"""Fit a classifier to the supports of e episodes.

    ================  ==========================================================================================
    ``logistic``      logistic regression with penalty :math:`\tfrac12\|W\|^2`, scikit-learn's optimum
    ``centroid``      :math:`-\|x - c_k\|^2` to the mean :math:`c_k` of the class's normalised supports
    ``neighbour``     minus the squared distance to the class's nearest support
    ``svm``           scikit-learn's linear SVM after standardising, one vote for each pair of classes, ties by margin
    ``prototypes``    :math:`-\|x - c_k\|^2` to the mean of the supports as they are, whose softmax gives probabilities
    ================  ==========================================================================================

    Args:
        head: one of these.
        support: (e, s, d).
        labels: (s,), 0 to c - 1, all of them present; the same in all episodes.
        c: the inverse strength C of the penalty (logistic, svm). It multiplies a sum over examples.
        l2: whether rows of supports and queries are divided by their Euclidean norms (zeros stay zeros); ``None``: all
            heads but ``prototypes`` do.

    Returns:
        A function from queries (e, q, d) to scores (e, q, c), in float64 but for ``logistic``, which follows the
        supports.

    Raises:
        ValueError: there is no such head, shapes don't fit, a label is negative, or ``c`` is not positive.
        TypeError: ``labels`` are not integers.

    >>> score = fit_head("centroid", torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]), torch.tensor([0, 1]))
    >>> score(torch.tensor([[[5.0, 0.1], [0.2, 3.0]]])).argmax(-1)
    tensor([[0, 1]])

    Paper: Tian, Wang, Krishnan, Tenenbaum, Isola 2020, arXiv:2003.11539, section 3.2 (logistic regression, nearest
        neighbour); Snell, Swersky, Zemel 2017, arXiv:1703.05175, equation 2 (prototypes); Wang, Chao, Weinberger, van
        der Maaten 2019, arXiv:1911.04623 (centroid).
    Differs from the paper: nothing.
    """
    kind = find_head(head)
    if support.ndim != 3 or labels.shape != support.shape[1:2]:
        raise ValueError(
            f"`support` must be (e, s, d) and `labels` (s,), but they have shapes {tuple(support.shape)} and "
            f"{tuple(labels.shape)}."
        )
    check_labels(labels)
    if labels.min() < 0:
        raise ValueError(f"`labels` must count from 0, but the lowest is {int(labels.min())}.")
    sizes = labels.bincount()
    if not sizes.all():
        raise ValueError(f"`labels` must have each class from 0 to {len(sizes) - 1}, but one of them has no support.")
    if not 0 < c < float("inf"):
        raise ValueError(f"`c`, the inverse strength of the penalty, must be positive and finite, but is {c}.")
    unit = kind.unit if l2 is None else l2
    scorer = kind.fit(unit_rows(support) if unit else support, labels, len(sizes), c)
    return partial(_of_unit_rows, scorer) if unit else scorer


def find_head(name: str) -> Head:
    """The head of that name.

    Raises:
        ValueError: there is none; the message lists them.
    """
    if name not in HEADS:
        raise ValueError(f"`head` must be one of {', '.join(HEADS)}, but is {name!r}.")
    return HEADS[name]


def squared_distances(x: Float[Tensor, "*e q d"], y: Float[Tensor, "*e s d"]) -> Float[Tensor, "*e q s"]:
    """Squared Euclidean distances by one product, never below 0."""
    squares = x.square().sum(-1, keepdim=True) + y.square().sum(-1).unsqueeze(-2)
    return (squares - 2 * x @ y.mT).clamp(min=0)


def class_means(x: Float[Tensor, "*e s d"], labels: Int64[Tensor, " s"], ways: int) -> Float[Tensor, "*e c d"]:
    """The mean row of each class, 0 to ways - 1."""
    share = torch.nn.functional.one_hot(labels, ways).to(x)
    return (share / share.sum(0)).mT @ x


def _of_unit_rows(scorer: Scorer, x: Float[Tensor, "e q d"]) -> Float[Tensor, "e q c"]:
    return scorer(unit_rows(x))


def _fit_logistic(support: Tensor, labels: Tensor, ways: int, c: float) -> Scorer:
    return logistic_regression(support, labels.expand(support.shape[:2]), c=c, classes=ways).logits


def _fit_means(support: Tensor, labels: Tensor, ways: int, c: float) -> Scorer:
    return partial(_nearness, class_means(support.double(), labels, ways))


def _nearness(means: Float[Tensor, "e c d"], x: Float[Tensor, "e q d"]) -> Float[Tensor, "e q c"]:
    return -squared_distances(x.double(), means)


def _fit_neighbour(support: Tensor, labels: Tensor, ways: int, c: float) -> Scorer:
    return partial(_nearest, support.double(), labels, ways)


def _nearest(
    support: Float[Tensor, "e s d"], labels: Int64[Tensor, " s"], ways: int, x: Float[Tensor, "e q d"]
) -> Float[Tensor, "e q c"]:
    nearness = -squared_distances(x.double(), support)
    best = nearness.new_full((*nearness.shape[:2], ways), -torch.inf)
    return best.scatter_reduce(2, labels.expand_as(nearness), nearness, "amax")


def _fit_svm(support: Tensor, labels: Tensor, ways: int, c: float) -> Scorer:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    def machine(rows: Tensor) -> Any:
        return make_pipeline(StandardScaler(), SVC(kernel="linear", C=c, random_state=0)).fit(
            rows.numpy(), labels.cpu().numpy()
        )

    return partial(_votes, [machine(rows) for rows in support.double().cpu()])


def _votes(machines: list[Any], x: Float[Tensor, "e q d"]) -> Float[Tensor, "e q c"]:
    decisions = (
        machine.decision_function(rows.numpy()) for machine, rows in zip(machines, x.double().cpu(), strict=True)
    )
    scores = torch.stack([torch.from_numpy(decision) for decision in decisions]).to(x.device)
    return scores if scores.ndim == 3 else torch.stack([-scores, scores], dim=-1)  # two classes have one decision


HEADS = {
    "logistic": Head(_fit_logistic, probabilities=True),
    "centroid": Head(_fit_means),
    "neighbour": Head(_fit_neighbour),
    "svm": Head(_fit_svm),
    "prototypes": Head(_fit_means, unit=False, probabilities=True),
}
