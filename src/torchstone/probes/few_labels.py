"""How far a few labels go: probes trained on the same random draws of m labelled examples a class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int, Int64, Real
from torch import Tensor

from torchstone.probes.estimators import CentroidProbe, KNNProbe, LogisticProbe
from torchstone.probes.inputs import check_devices, check_features, check_finite, check_labels


class Classifier(Protocol):
    """What :func:`probe` trains: a :class:`Probe`, or any of scikit-learn's classifiers (on a CPU's tensors)."""

    def fit(self, x: Any, y: Any, /) -> Any:
        """Learn from features (n, d) and labels (n,)."""

    def score(self, x: Any, y: Any, /) -> Any:
        """The accuracy on features (m, d) with labels (m,)."""


@dataclass(frozen=True, eq=False)
class FewLabels:
    """Accuracies of some probes for some numbers of labels, paired by draw.

    Args:
        methods: the probes' names.
        labels_per_class: the numbers of labelled examples a class.
        accuracy: float64, one entry for each method, number of labels and draw.
    """

    methods: tuple[str, ...]
    labels_per_class: tuple[int, ...]
    accuracy: Float[Tensor, "methods counts draws"]

    def of(self, method: str, labels_per_class: int) -> Float[Tensor, " draws"]:
        """The accuracies of one method at one number of labels, in the order of the draws."""
        for name, value, known in (
            ("method", method, self.methods),
            ("labels_per_class", labels_per_class, self.labels_per_class),
        ):
            if value not in known:
                raise ValueError(f"`{name}` must be one of {', '.join(map(str, known))}, but is {value!r}.")
        return self.accuracy[self.methods.index(method), self.labels_per_class.index(labels_per_class)]

    def __str__(self) -> str:
        """A table of means over the draws, in %."""
        width = max(map(len, self.methods))
        head = " " * width + "".join(f"{m:>10}" for m in self.labels_per_class) + "  labels a class"
        means = 100 * self.accuracy.mean(-1)
        rows = zip(self.methods, means.tolist(), strict=True)
        return "\n".join([head, *(f"{name:<{width}}" + "".join(f"{v:10.1f}" for v in row) for name, row in rows)])


def probe(
    features: Real[Tensor, "n d"],
    labels: Int[Tensor, " n"],
    *,
    labels_per_class: Sequence[int] = (10, 100),
    draws: int = 5,
    seed: int,
    methods: Mapping[str, Classifier] | None = None,
    test: tuple[Tensor, Tensor] | None = None,
) -> FewLabels:
    """Accuracy of simple classifiers that see only a few labels, over several draws of which ones.

    Draws depend on ``labels`` and ``seed`` alone: two representations of the same examples, and all methods, see the
    same ones, so their accuracies are paired. Within a draw fewer labels are a part of more.

    Args:
        features: (n, d), frozen.
        labels: (n,), integers from 0.
        labels_per_class: how many labelled examples of each class a probe gets.
        draws: the number of draws.
        seed: of the draws; the first five of ten draws are the five of five.
        methods: classifiers by name; logistic regression (standardised features), the nearest neighbour by cosine and
            the nearest centroid if absent. Each is fitted anew for each draw.
        test: features and labels to be judged on. If absent, all examples that the draw's largest set leaves: these are
            the same for every method and number of labels, but other ones in each draw.

    Returns:
        A :class:`FewLabels`; print it for a table.

    Raises:
        ValueError: shapes don't fit; features are not finite; a class has too few examples (it is named), or a number
            is out of range.
        TypeError: features are boolean or complex; labels are not integers.

    >>> generator = torch.Generator().manual_seed(0)
    >>> y = torch.arange(300) % 3
    >>> x = torch.eye(3)[y] + 0.4 * torch.randn(300, 3, generator=generator)
    >>> print(probe(x, y, labels_per_class=(1, 20), seed=0))
                              1        20  labels a class
    logistic               84.6      92.2
    nearest neighbour      85.7      86.7
    nearest centroid       80.5      92.2
    """
    check_features(features, "features")
    c = check_labels(labels, features.shape[:1], None, "labels")
    check_devices(("features", features), ("labels", labels))
    check_finite(features, "features")
    chosen = default_methods() if methods is None else dict(methods)
    if not chosen:
        raise ValueError("`methods` is empty: give at least one classifier, or leave it out for three probes.")
    shuffled = shuffled_by_class(labels, c, draws, seed)
    check_numbers(labels_per_class, [len(places) for places in shuffled[0]], held_out=test is None)
    accuracy = torch.empty(len(chosen), len(labels_per_class), draws, dtype=torch.float64)
    for t, classes in enumerate(shuffled):
        x, y = (
            test
            if test is not None
            else picked(features, labels, [places[max(labels_per_class) :] for places in classes])
        )
        for j, m in enumerate(labels_per_class):
            shown = picked(features, labels, [places[:m] for places in classes])
            for i, method in enumerate(chosen.values()):
                method.fit(*shown)
                accuracy[i, j, t] = float(method.score(x, y))
    return FewLabels(tuple(chosen), tuple(labels_per_class), accuracy)


def default_methods() -> dict[str, Classifier]:
    """The three probes that :func:`probe` trains."""
    return {"logistic": LogisticProbe(), "nearest neighbour": KNNProbe(k=1), "nearest centroid": CentroidProbe()}


def shuffled_by_class(labels: Int[Tensor, " n"], c: int, draws: int, seed: int) -> list[list[Int64[Tensor, " k"]]]:
    """For each draw and class, where that class's examples are, in random order."""
    if draws < 1:
        raise ValueError(f"`draws` is {draws}: at least 1 is needed.")
    generator = torch.Generator().manual_seed(seed)
    places = [(labels == label).nonzero()[:, 0].cpu() for label in range(c)]
    return [[p[torch.randperm(len(p), generator=generator)] for p in places] for _ in range(draws)]


def picked(features: Tensor, labels: Tensor, places: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Features and labels at the ``places`` of each class."""
    rows = torch.cat(places).to(features.device)
    return features[rows], labels[rows]


def check_numbers(labels_per_class: Sequence[int], sizes: list[int], *, held_out: bool) -> None:
    """Refuse numbers of labels below 1, or above what each class has, if need be with one more for the test."""
    numbers = labels_per_class if isinstance(labels_per_class, Sequence) else ()
    if not numbers or not all(isinstance(number, Integral) and number >= 1 for number in numbers):
        raise ValueError(f"`labels_per_class` is {labels_per_class}: give positive whole numbers, such as (10, 100).")
    needed = max(labels_per_class) + held_out
    for label, size in enumerate(sizes):
        if size < needed:
            rest = " and 1 to test with" if held_out else ""
            raise ValueError(
                f"Class {label} has {size} examples, but {max(labels_per_class)} labelled ones{rest} are needed: "
                "ask for fewer `labels_per_class`" + (", or give `test`." if held_out else ".")
            )
