"""Prototypical networks: an embedding trained on episodes, judged by the distance to class means."""

from pathlib import Path

import torch
from jaxtyping import Float, Int, Int64, Shaped
from torch import Tensor, nn

from torchstone.data import Augment
from torchstone.fewshot.classifier import Trained
from torchstone.fewshot.embedding import embed
from torchstone.fewshot.episodes import Episodes
from torchstone.fewshot.evaluation import EpisodeScores, evaluate_episodes
from torchstone.fewshot.heads import class_means, squared_distances
from torchstone.fewshot.rfs import Progress
from torchstone.fewshot.tasks import TaskBatches, Tasks, place_of, train_on_tasks


def prototype_logits(
    support: Float[Tensor, "*t s d"], labels: Int64[Tensor, " s"], query: Float[Tensor, "*t q d"]
) -> Float[Tensor, "*t q c"]:
    r"""Minus the squared distances of the queries to the class means, whose softmax gives probabilities.

    .. math:: z_k(x) = -\|x - c_k\|^2 = 2 c_k^\top x - \|c_k\|^2 - \|x\|^2, \quad c_k = \mathrm{mean}_{i: y_i = k} x_i

    So it is a linear classifier with weights :math:`2 c_k` and biases :math:`-\|c_k\|^2`. Differentiable.

    Args:
        support: features of the supports, (..., s, d).
        labels: (s,), 0 to c - 1, all present.
        query: features of the queries, (..., q, d).

    Returns:
        Logits (..., q, c).

    >>> prototype_logits(torch.tensor([[0.0], [2.0], [5.0]]), torch.tensor([0, 0, 1]), torch.tensor([[3.0]]))
    tensor([[-4., -4.]])

    Paper: Snell, Swersky, Zemel 2017, arXiv:1703.05175, equations 1 and 2, and section 2.4.
    Differs from the paper: nothing.
    """
    return -squared_distances(query, class_means(support, labels, int(labels.max()) + 1))


class ProtoNet(nn.Module):
    """An encoder trained on episodes with :func:`prototype_logits`: the rival that learns to learn.

    Args:
        encoder: from images to features; trained in place.

    >>> from torchstone.nets import Conv4
    >>> x, y = torch.rand(24, 1, 16, 16, generator=torch.Generator().manual_seed(0)), torch.arange(24) // 6
    >>> net = ProtoNet(Conv4(4, channels=1, seed=0))
    >>> net.fit(x, y, budget=50, ways=3, shots=1, queries=2, seed=0).images_seen
    45

    Paper: Snell, Swersky, Zemel 2017, arXiv:1703.05175.
    Differs from the paper: the learning rate is not halved on the way.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tasks: Tasks) -> Float[Tensor, "t q c"]:
        """The logits of the queries; supports and queries go through the encoder together."""
        x = torch.cat([tasks.support, tasks.query], dim=1)
        features = self.encoder(x.flatten(0, 1)).flatten(1).unflatten(0, x.shape[:2])
        s = tasks.support.shape[1]
        return prototype_logits(features[:, :s], tasks.support_labels, features[:, s:])

    def fit(
        self,
        images: Shaped[Tensor, "n ..."],
        labels: Int[Tensor, " n"],
        *,
        budget: int,
        ways: int,
        shots: int,
        queries: int,
        seed: int,
        rate: float = 1e-3,
        augment: Augment | None = None,
        checkpoint: str | Path | None = None,
        progress: Progress | None = None,
    ) -> "Trained[ProtoNet]":
        """Train on episodes of base classes, one a step, by Adam.

        Args:
            images: (n, c, h, w).
            labels: (n,).
            budget: images shown in all, supports and queries.
            ways: classes in a training episode.
            shots: supports of each class.
            queries: queries of each class.
            seed: of the episodes, the augmentation and dropout.
            rate: Adam's learning rate.
            augment: a random change of each episode's images.
            checkpoint: a folder to go on from after a kill.
            progress: called with the fraction done and a note.

        Returns:
            This model, loss and accuracy at each step, and the images seen.

        Raises:
            ValueError, TypeError: the budget is below one episode, or the data cannot give such episodes.
        """
        sizes = {"budget": budget, "ways": ways, "shots": shots, "queries": queries}
        batches = TaskBatches(images, labels, **sizes, seed=seed, augment=augment, **place_of(self))
        return train_on_tasks(self, batches, rate, checkpoint, progress)

    def evaluate(self, images: Shaped[Tensor, "n ..."], episodes: Episodes) -> EpisodeScores:
        """The accuracies on episodes of novel images (n, c, h, w), the encoder in evaluation mode."""
        return evaluate_episodes(embed(self.encoder, images), episodes, head="prototypes")
