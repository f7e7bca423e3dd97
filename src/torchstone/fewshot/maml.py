"""MAML: weights from which a few gradient steps on a support make a good classifier."""

from pathlib import Path

import torch
from jaxtyping import Float, Int, Int64, Shaped
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from torchstone.data import Augment
from torchstone.fewshot.adaptation import Params, adapt
from torchstone.fewshot.classifier import BaseClassifier, Trained
from torchstone.fewshot.episodes import Episode, Episodes
from torchstone.fewshot.evaluation import EpisodeScores
from torchstone.fewshot.inputs import check_images, floats
from torchstone.fewshot.rfs import Progress
from torchstone.fewshot.support_norm import normalised_by_support
from torchstone.fewshot.tasks import TaskBatches, Tasks, place_of, train_on_tasks
from torchstone.training import evaluating


class MAML(nn.Module):
    r"""Model-agnostic meta-learning of an encoder and a head for a fixed number of ways.

    .. math:: \min_\theta \sum_i L^{\mathrm{query}}_i(\theta'_i), \qquad
              \theta'_i = \theta - \alpha \nabla L^{\mathrm{support}}_i(\theta) \text{ (``inner_steps`` times)}

    Each episode adapts a copy of the whole network, head included. Classes come in random order, so that no output of
    the head can belong to a class beforehand.

    Args:
        encoder: from images to rows of features; trained in place.
        d: its features.
        ways: classes in an episode, in training and test.
        inner_steps: gradient steps on a support.
        inner_rate: :math:`\alpha`.
        first_order: leave out second derivatives (FOMAML): less time and memory.
        seed: of the head's first weights.

    Raises:
        ValueError: ``ways`` is below 2, or ``inner_steps`` or ``inner_rate`` is negative.

    >>> from torchstone.nets import Conv4
    >>> x, y = torch.rand(24, 1, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(24) // 6
    >>> net = MAML(Conv4(4, channels=1, seed=0), 4, ways=3, inner_steps=2, seed=0)
    >>> net.fit(x, y, budget=50, shots=1, queries=2, tasks=2, seed=0).images_seen
    36

    Paper: Finn, Abbeel, Levine 2017, arXiv:1703.03400, algorithm 2.
    Differs from the paper: batch normalisation takes the statistics of the support, in training and test
        (:mod:`torchstone.fewshot.support_norm`), where the released code takes those of all queries together, which
        lets them help one another. (Running averages would not do: the inner steps are not trained for them.)
    """

    def __init__(
        self,
        encoder: nn.Module,
        d: int,
        *,
        ways: int,
        inner_steps: int = 5,
        inner_rate: float = 0.01,
        first_order: bool = False,
        seed: int,
    ) -> None:
        super().__init__()
        if ways < 2 or inner_steps < 0 or not 0 <= inner_rate < float("inf"):
            raise ValueError(
                "`ways` must be at least 2, `inner_steps` and `inner_rate` 0 or more, but they are "
                f"{ways}, {inner_steps} and {inner_rate}."
            )
        self.learner = BaseClassifier(encoder, d, classes=range(ways), seed=seed)
        self.ways, self.inner_steps, self.inner_rate, self.first_order = ways, inner_steps, inner_rate, first_order

    def adapted(
        self, support: Float[Tensor, "s ..."], labels: Int64[Tensor, " s"], *, first_order: bool | None = None
    ) -> Params:
        """The learner's parameters after the inner steps on a support (s, c, h, w) with labels (s,)."""
        own = {name: value for name, value in self.learner.named_parameters() if value.requires_grad}
        return adapt(
            lambda params: cross_entropy(self.logits(params, support, support[:0]), labels),
            own,
            rate=self.inner_rate,
            steps=self.inner_steps,
            first_order=self.first_order if first_order is None else first_order,
        )

    def logits(
        self, params: Params, support: Float[Tensor, "s ..."], query: Float[Tensor, "q ..."]
    ) -> Float[Tensor, "n c"]:
        """The logits of supports and queries, one after the other, with these parameters in the learner."""
        with normalised_by_support(self.learner, len(support)):
            logits: Tensor = functional_call(self.learner, params, (torch.cat([support, query]),))
        return logits

    def query_logits(
        self,
        support: Float[Tensor, "s ..."],
        labels: Int64[Tensor, " s"],
        query: Float[Tensor, "q ..."],
        *,
        first_order: bool | None = None,
    ) -> Float[Tensor, "q c"]:
        """The logits of queries (q, c, h, w) after adapting to a support (s, c, h, w) with labels (s,)."""
        params = self.adapted(support, labels, first_order=first_order)
        return self.logits(params, support, query)[len(support) :]

    def forward(self, tasks: Tasks) -> Float[Tensor, "t q c"]:
        """The logits of each task's queries after adapting to its support."""
        pairs = zip(tasks.support, tasks.query, strict=True)
        return torch.stack([self.query_logits(support, tasks.support_labels, query) for support, query in pairs])

    def fit(
        self,
        images: Shaped[Tensor, "n ..."],
        labels: Int[Tensor, " n"],
        *,
        budget: int,
        shots: int,
        queries: int,
        tasks: int = 4,
        seed: int,
        rate: float = 1e-3,
        augment: Augment | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> "Trained[MAML]":
        """Train on episodes of base classes, ``tasks`` a step, by Adam.

        Args:
            images: (n, c, h, w).
            labels: (n,).
            budget: images shown in all, supports (once, whatever the inner steps) and queries.
            shots: supports of each class.
            queries: queries of each class.
            tasks: episodes in a step.
            seed: of the episodes, the augmentation and dropout.
            rate: Adam's learning rate.
            augment: a random change of each step's images.
            checkpoint: a folder to go on from after a kill.
            progress: called with the fraction done and a note.

        Returns:
            This model, loss and accuracy at each step, and the images seen.

        Raises:
            ValueError, TypeError: the budget is below one step, or the data cannot give such episodes.
        """
        sizes = {"budget": budget, "ways": self.ways, "shots": shots, "queries": queries, "tasks": tasks}
        batches = TaskBatches(images, labels, **sizes, seed=seed, augment=augment, **place_of(self))
        return train_on_tasks(self, batches, rate, checkpoint, progress)

    def evaluate(self, images: Shaped[Tensor, "n ..."], episodes: Episodes) -> EpisodeScores:
        """The accuracies on episodes of novel images (n, c, h, w); each adapts anew, in evaluation mode.

        Raises:
            ValueError: the episodes have another number of ways, or don't belong to these images.
        """
        check_images(images)
        if episodes.ways != self.ways or len(images) != len(episodes.labels):
            raise ValueError(
                f"This model is for {self.ways} ways and {len(images)} images were given, but the episodes have "
                f"{episodes.ways} ways and were drawn from {len(episodes.labels)} labels."
            )
        with evaluating(self):
            return EpisodeScores(torch.stack([self._accuracy(images, episode) for episode in episodes]))

    def _accuracy(self, images: Shaped[Tensor, "n ..."], episode: Episode) -> Float[Tensor, ""]:
        support, query = (floats(images[rows]).to(**place_of(self)) for rows in (episode.support, episode.query))
        with torch.enable_grad():
            logits = self.query_logits(support, episode.support_labels.to(support.device), query, first_order=True)
        hits = logits.argmax(1) == episode.query_labels.to(query.device)
        return hits.double().mean()
