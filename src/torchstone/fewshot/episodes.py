"""Episodes: small classification problems, each with its support and query, that every method gets alike."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Int, Int64
from torch import Tensor

from torchstone.data import stream
from torchstone.fewshot.inputs import check_labels


@dataclass(frozen=True, eq=False)
class Episode:
    """One problem: rows of the data set, and labels from 0 to ways - 1 that mean something in this episode only.

    Args:
        support: (ways · shots,), the rows to learn from, class after class.
        query: (ways · queries,), the rows to be judged on, class after class; none of them is in ``support``.
        support_labels: (ways · shots,), 0 to ways - 1.
        query_labels: (ways · queries,), 0 to ways - 1.
        classes: (ways,), the data set's label of each of these.
    """

    support: Int64[Tensor, " s"]
    query: Int64[Tensor, " q"]
    support_labels: Int64[Tensor, " s"]
    query_labels: Int64[Tensor, " q"]
    classes: Int[Tensor, " ways"]


class Episodes:
    """``count`` episodes of ``ways`` classes with ``shots`` support and ``queries`` query examples each.

    Classes are drawn without replacement and in random order, examples without replacement within their class.
    Episode i is a function of (``labels``, ``seed``, i) and of the three sizes, so that methods are judged on the same
    problems and compared in pairs. With other ``shots`` the classes and queries stay, and the supports of fewer shots
    are among those of more, so that shots can be compared in pairs too.

    Args:
        labels: (n,), the class of each example: any integers.
        ways: classes in an episode, 2 or more.
        shots: support examples of each class, 1 or more.
        queries: query examples of each class, 1 or more.
        count: number of episodes.
        seed: of the draws.

    Raises:
        ValueError: there are fewer classes than ``ways``, a class has fewer examples than ``shots + queries`` (the
            message names it), or a number is too small.
        TypeError: ``labels`` is no tensor of integers.

    Example:
        >>> episodes = Episodes(torch.arange(60) // 6, 5, 1, 3, count=600, seed=0)
        >>> episodes.support.shape, episodes.query.shape
        (torch.Size([600, 5]), torch.Size([600, 15]))
        >>> torch.equal(episodes.at(7).query, episodes.query[7])
        True

    Paper: Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra 2016, arXiv:1606.04080, section 2.2.
    Differs from the paper: nothing.
    """

    def __init__(
        self, labels: Int[Tensor, " n"], ways: int, shots: int, queries: int, *, count: int, seed: int
    ) -> None:
        check_labels(labels)
        if ways < 2 or min(shots, queries, count) < 1:
            raise ValueError(
                "`ways` must be at least 2, and `shots`, `queries` and `count` at least 1, but they are "
                f"{ways}, {shots}, {queries} and {count}."
            )
        self.labels, self.ways, self.shots, self.queries = labels, ways, shots, queries
        self.count, self.seed = count, seed
        self.support_labels = torch.arange(ways, device=labels.device).repeat_interleave(shots)
        self.query_labels = torch.arange(ways, device=labels.device).repeat_interleave(queries)
        self._classes, sizes = labels.cpu().unique(return_counts=True)  # type: ignore[no-untyped-call]
        self._rows = labels.cpu().argsort(stable=True).split(sizes.tolist())  # type: ignore[no-untyped-call]
        self._check_sizes()

    def at(self, i: int) -> Episode:
        """Episode ``i``, from 0 to ``count - 1``.

        Raises:
            IndexError: there is no such episode.
        """
        if not 0 <= i < self.count:
            raise IndexError(f"Episode {i} was asked for, but there are {self.count}, counted from 0.")
        draws = stream(self.seed, "episode", (i,))
        chosen = torch.randperm(len(self._classes), generator=draws)[: self.ways].tolist()
        drawn = torch.stack([self._draw(label, draws) for label in chosen]).to(self.labels.device)
        query, support = drawn[:, : self.queries].flatten(), drawn[:, self.queries :].flatten()
        return Episode(support, query, self.support_labels, self.query_labels, self._classes[chosen].to(self.labels))

    @cached_property
    def support(self) -> Int64[Tensor, "count s"]:
        """The support rows of all episodes, (count, ways · shots); their labels are ``support_labels``."""
        return torch.stack([episode.support for episode in self])

    @cached_property
    def query(self) -> Int64[Tensor, "count q"]:
        """The query rows of all episodes, (count, ways · queries); their labels are ``query_labels``."""
        return torch.stack([episode.query for episode in self])

    @property
    def images_each(self) -> int:
        """Images in an episode, support and query."""
        return self.ways * (self.shots + self.queries)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Episode]:
        return map(self.at, range(self.count))

    def __repr__(self) -> str:
        sizes = f"ways={self.ways}, shots={self.shots}, queries={self.queries}"
        return f"Episodes({sizes}, count={self.count}, seed={self.seed})"

    def _draw(self, label: int, draws: torch.Generator) -> Int64[Tensor, " examples"]:
        rows: Int64[Tensor, " n"] = self._rows[label]
        return rows[torch.randperm(len(rows), generator=draws)[: self.queries + self.shots]]

    def _check_sizes(self) -> None:
        if len(self._classes) < self.ways:
            raise ValueError(
                f"`ways` is {self.ways}, but `labels` has only {len(self._classes)} classes. Take fewer ways."
            )
        needed = self.shots + self.queries
        small = [
            (int(label), len(rows)) for label, rows in zip(self._classes, self._rows, strict=True) if len(rows) < needed
        ]
        if small:
            label, size = small[0]
            raise ValueError(
                f"Class {label} has {size} examples, but an episode needs {self.shots} shots + {self.queries} queries "
                f"= {needed} of each class ({len(small)} of {len(self._rows)} classes are too small). Take fewer "
                "queries or shots, or leave these classes out."
            )
