"""The whole evaluation of an embedding by few-shot episodes, against scikit-learn's classifiers in a loop.

600 episodes of 15 queries a class, from features to the accuracy of each episode: rows gathered, brought to unit
length, a classifier fitted to the support, queries classified. Both sides are given the same float32 features and the
same episodes, and take turns in one thread; the ratio is of their least CPU-seconds, since on a busy machine the clock
on the wall measures the neighbours, and its own ratio stands beside it. "same answers" is the share of queries of the
first 50 episodes that both name alike, scikit-learn in float64 and at a tolerance of 1e-9.
"""

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits
from torch import Tensor

from torchstone.fewshot import Episodes, evaluate_episodes, fit_head

CLASSES, EACH, D = 100, 40, 640
COUNT, QUERIES, COMPARED = 600, 15, 50
SETTINGS = [
    ("logistic", 5, 5),  # ways, shots
    ("logistic", 5, 1),
    ("logistic", 20, 1),
    ("centroid", 5, 5),
    ("neighbour", 5, 5),
]
ROUNDS, TURNS = 2, 3
PEERS: dict[str, Callable[[float], Any]] = {
    "logistic": lambda tol: LogisticRegression(tol=tol, max_iter=10_000),
    "centroid": lambda _: NearestCentroid(),
    "neighbour": lambda _: KNeighborsClassifier(1),
}


def embedding() -> tuple[Tensor, Tensor]:
    """Non-negative features around one centre a class, as an encoder with ReLU gives them, and the classes."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(CLASSES, 1, D, generator=generator)
    features = (centres / 5 + torch.randn(CLASSES, EACH, D, generator=generator)).relu_().flatten(0, 1)
    return features, torch.arange(CLASSES).repeat_interleave(EACH)


def answers(
    features: npt.NDArray[Any], episodes: Episodes, head: str, count: int = COUNT, tol: float = 1e-4
) -> npt.NDArray[np.int64]:
    """What scikit-learn's classifier takes the queries of the first episodes for, (count, queries)."""
    labels, rows = episodes.support_labels.numpy(), zip(episodes.support.numpy(), episodes.query.numpy(), strict=True)
    found = [
        PEERS[head](tol).fit(normalize(features[support]), labels).predict(normalize(features[query]))
        for support, query in islice(rows, count)
    ]
    return np.stack(found)


def loop(features: Tensor, episodes: Episodes, head: str) -> npt.NDArray[np.float64]:
    """The accuracy of each episode."""
    hits: npt.NDArray[np.bool_] = answers(features.numpy(), episodes, head) == episodes.query_labels.numpy()
    return hits.mean(1)


def together(features: Tensor, episodes: Episodes, head: str) -> Tensor:
    """The same by torchstone."""
    return evaluate_episodes(features, episodes, head=head).accuracies


def agreement(features: Tensor, episodes: Episodes, head: str) -> float:
    """The share of queries that both take for the same class."""
    support, query = features[episodes.support[:COMPARED]], features[episodes.query[:COMPARED]]
    ours = fit_head(head, support, episodes.support_labels)(query).argmax(-1).numpy()
    return float((answers(features.double().numpy(), episodes, head, COMPARED, 1e-9) == ours).mean())


def cost(function: Callable[[Tensor, Episodes, str], object], *given: Any) -> Tensor:
    """CPU-seconds and seconds on the wall of one call."""
    start = time.process_time(), time.perf_counter()
    function(*given)
    return torch.tensor([time.process_time() - start[0], time.perf_counter() - start[1]])


def compare(head: str, ways: int, shots: int) -> None:
    features, labels = embedding()
    episodes = Episodes(labels, ways, shots, QUERIES, count=COUNT, seed=0)
    given = features, episodes, head
    alike = agreement(*given)  # which also draws the episodes
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours += [cost(together, *given) for _ in range(TURNS)]
        theirs.append(cost(loop, *given))
    (cpu, wall), (peer_cpu, peer_wall) = (torch.stack(costs).amin(0).tolist() for costs in (ours, theirs))
    seconds = f"{cpu:>9.3f} {peer_cpu:>12.3f} {peer_cpu / cpu:>6.1f} {peer_wall / wall:>14.1f}"
    print(f"{head:<10} {ways:>4} {shots:>5} {seconds} {alike:>13.2%}", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    print(f"{COUNT} episodes, {QUERIES} queries a class, d = {D}, one thread")
    print("head       ways shots  ours (s)  sklearn (s)  ratio  ratio of walls  same answers")
    with threadpool_limits(1):
        for setting in SETTINGS:
            compare(*setting)


if __name__ == "__main__":
    main()
