"""Accuracy on episodes: one number for each, kept for comparisons in pairs."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from torchstone.fewshot.embedding import unit_rows
from torchstone.fewshot.episodes import Episodes
from torchstone.fewshot.heads import find_head, fit_head
from torchstone.fewshot.inputs import batches

NUMBERS_AT_ONCE = 1 << 22  # features gathered for a block of episodes: memory that the allocator keeps for the next


@dataclass(frozen=True, eq=False)
class EpisodeScores:
    r"""The accuracies of a method on episodes, with Student's interval of their mean.

    .. math:: \bar a \pm t_{(1+\ell)/2,\,n-1} \; s / \sqrt n

    The interval is of the draw of episodes for one trained network. What another training would change is not in it:
    train with several seeds, and take the interval over these.

    Args:
        accuracies: (n,), in [0, 1], in the order of the episodes; the same episodes make pairs.
        level: the confidence :math:`\ell` in (0, 1).

    >>> print(EpisodeScores(torch.tensor([0.9, 1.0, 0.8, 0.9])))
    90.0 ± 13.0 % (95 % interval of 4 episodes)
    """

    accuracies: Float[Tensor, " n"]
    level: float = 0.95

    def __post_init__(self) -> None:
        if self.accuracies.ndim != 1 or not len(self.accuracies):
            raise ValueError(f"`accuracies` must be a vector, but has shape {tuple(self.accuracies.shape)}.")
        if not 0 < self.level < 1:
            raise ValueError(f"`level` must lie between 0 and 1, but is {self.level}.")

    @property
    def mean(self) -> float:
        """The mean accuracy."""
        return float(self.accuracies.double().mean())

    @property
    def margin(self) -> float:
        """Half the width of the interval; infinite for one episode."""
        from scipy.stats import t

        n = len(self.accuracies)
        if n == 1:
            return math.inf
        return float(t.ppf((1 + self.level) / 2, n - 1) * self.accuracies.double().std() / n**0.5)

    @property
    def interval(self) -> tuple[float, float]:
        """Its two ends."""
        return self.mean - self.margin, self.mean + self.margin

    def __str__(self) -> str:
        numbers = f"{100 * self.mean:.1f} ± {100 * self.margin:.1f} %"
        return f"{numbers} ({100 * self.level:g} % interval of {len(self.accuracies)} episodes)"


def evaluate_episodes(
    features: Float[Tensor, "n d"],
    episodes: Episodes,
    *,
    head: str = "logistic",
    copies: Float[Tensor, "n m d"] | None = None,
    l2: bool | None = None,
    c: float = 1.0,
    level: float = 0.95,
) -> EpisodeScores:
    """Judge a frozen embedding: in each episode fit a classifier to the support, count hits among the queries.

    Embed the novel images once (:func:`embed`), then evaluate heads, shots and ways on the features. Many
    episodes are solved at a time.

    Args:
        features: (n, d), a row for each label of ``episodes``.
        episodes: the problems.
        head: ``"logistic"``, ``"centroid"``, ``"neighbour"``, ``"svm"`` or ``"prototypes"``; see :func:`fit_head`.
        copies: (n, m, d) from :func:`embed_copies`: each support then stands for its m copies, all with its label. With
            ``logistic`` and ``svm`` they act as m-fold C too, since C multiplies a sum over examples.
        l2: whether features are L2-normalised; by default all heads but ``prototypes`` do.
        c: the inverse strength C of the penalty (logistic, svm).
        level: the confidence of the interval.

    Returns:
        The accuracy of each episode, with mean and interval.

    Raises:
        ValueError: the features don't belong to these episodes or are not finite, or an option is out of range.
        TypeError: the features are no tensor.

    >>> features = torch.eye(3).repeat_interleave(4, 0)
    >>> scores = evaluate_episodes(features, Episodes(torch.arange(12) // 4, 2, 1, 3, count=10, seed=0))
    >>> scores.accuracies.shape, scores.mean
    (torch.Size([10]), 1.0)

    Paper: Tian, Wang, Krishnan, Tenenbaum, Isola 2020, arXiv:2003.11539, section 3.2.
    Differs from the paper: copies of the supports only on demand.
    """
    unit = find_head(head).unit if l2 is None else l2
    _check(features, "features", 2, episodes)
    if copies is not None:
        _check(copies, "copies", 3, episodes)
        if copies.shape[2] != features.shape[1]:
            raise ValueError(f"`copies` has {copies.shape[2]} features a row, but `features` {features.shape[1]}.")
    features = unit_rows(features) if unit else features  # once, not in each episode
    supports = features[:, None] if copies is None else unit_rows(copies) if unit else copies  # (n, m, d)
    labels = episodes.support_labels.repeat_interleave(supports.shape[1]).to(features.device)
    answers = episodes.query_labels.to(features.device)
    accuracies = []
    for support, query in _blocks(episodes, supports[0].numel()):
        score = fit_head(head, supports[support.to(features.device)].flatten(1, 2), labels, c=c, l2=False)
        hits = score(features[query.to(features.device)]).argmax(-1) == answers
        accuracies.append(hits.double().mean(1))
    return EpisodeScores(torch.cat(accuracies), level)


def _blocks(episodes: Episodes, numbers: int) -> Iterator[tuple[Int64[Tensor, "e s"], Int64[Tensor, "e q"]]]:
    """Rows of as many episodes at a time as memory bears."""
    size = max(1, NUMBERS_AT_ONCE // (episodes.images_each * numbers))
    return zip(batches(episodes.support, size), batches(episodes.query, size), strict=True)


def _check(values: Tensor, name: str, rank: int, episodes: Episodes) -> None:
    if not isinstance(values, Tensor):
        raise TypeError(f"`{name}` is a {type(values).__name__}: a torch tensor is needed, as from embed(...).")
    if values.ndim != rank or not values.is_floating_point():
        raise ValueError(
            f"`{name}` must be floating point with {rank} axes, but is {values.dtype} of shape {tuple(values.shape)}."
        )
    if len(values) != len(episodes.labels):
        raise ValueError(
            f"`{name}` has {len(values)} rows, but the episodes were drawn from {len(episodes.labels)} labels. Embed "
            "the images that these labels belong to."
        )
    if not values.isfinite().all():
        raise ValueError(f"`{name}` has NaN or infinite values: look at the encoder that made them.")
