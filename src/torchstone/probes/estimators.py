"""The probes as estimators: ``fit``, ``predict`` and ``score`` on tensors, with any integers as labels."""

from abc import ABC, abstractmethod
from typing import Self

import torch
from jaxtyping import Float, Int, Int64, Real
from torch import Tensor

from torchstone.probes.inputs import check_features, check_finite, check_labels, check_like
from torchstone.probes.logistic import LogisticFit, logistic_regression
from torchstone.probes.neighbours import Metric, centroids, knn, nearest_mean
from torchstone.probes.scaling import Scaler, Scaling, scaler


class Probe(ABC):
    """A simple classifier on frozen features: scaling, labels of any value, and one method's learning and deciding.

    Args:
        scaling: of the features, learnt on the training examples: ``"standard"``, ``"l2"``, or None for none.
    """

    def __init__(self, *, scaling: Scaling | None) -> None:
        self.scaling: Scaling | None = scaling
        self.labels: Tensor = torch.empty(0)
        self._scaler: Scaler | None = None
        self._shape = torch.Size()

    def fit(self, x: Real[Tensor, "*e n d"], y: Int[Tensor, "*e n"]) -> Self:
        """Learn from features (n, d) with labels (n,), or from (e, n, d) with (e, n): e problems at once."""
        check_features(x, "x")
        if isinstance(y, Tensor) and y.numel() and not y.is_floating_point():
            self.labels, y = torch.unique(y, return_inverse=True)
        check_labels(y, x.shape[:-1], None)
        self._scaler, self._shape = scaler(x, self.scaling), x.shape
        self._learn(self._scaler(x), y)
        return self

    def predict(self, x: Real[Tensor, "*e m d"]) -> Int64[Tensor, "*e m"]:
        """Labels of features (m, d), or (e, m, d) for as many problems; e problems may share an (m, d).

        Raises:
            RuntimeError: nothing was learnt yet.
            ValueError: the features are not finite, or not as many as were learnt from.
        """
        if self._scaler is None:
            raise RuntimeError(f"This {type(self).__name__} has learnt nothing yet: call fit(x, y) first.")
        check_features(x, "x")
        check_finite(x, "x")
        check_like(x, "x", self._shape, "the training examples")
        return self.labels[self._decide(self._scaler(x))]

    def score(self, x: Real[Tensor, "*e m d"], y: Int[Tensor, "*e m"]) -> Float[Tensor, "*e"]:
        """The share of examples whose label is predicted right, 0-d or (e,)."""
        predicted = self.predict(x)
        if not isinstance(y, Tensor):
            raise TypeError(f"`y` is a {type(y).__name__}: a tensor of labels is needed.")
        if y.shape not in (predicted.shape, predicted.shape[-1:]):
            raise ValueError(f"`y` has shape {tuple(y.shape)}, but the predictions {tuple(predicted.shape)}.")
        return (predicted == y).double().mean(-1)

    @abstractmethod
    def _learn(self, x: Tensor, y: Tensor) -> None: ...

    @abstractmethod
    def _decide(self, x: Tensor) -> Tensor: ...


class LogisticProbe(Probe):
    """Linear evaluation: :func:`logistic_regression` on scaled features.

    Args:
        c: the inverse strength of the penalty.
        scaling: ``"standard"``, ``"l2"`` or None.
        max_iter: Newton steps at most.

    >>> x, y = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([3, 3, 8, 8])
    >>> LogisticProbe().fit(x, y).predict(torch.tensor([[-1.0], [9.0]]))
    tensor([3, 8])
    """

    def __init__(self, c: float = 1.0, *, scaling: Scaling | None = "standard", max_iter: int = 100) -> None:
        super().__init__(scaling=scaling)
        self.c, self.max_iter = c, max_iter

    def _learn(self, x: Tensor, y: Tensor) -> None:
        self.result: LogisticFit = logistic_regression(x, y, c=self.c, classes=len(self.labels), max_iter=self.max_iter)

    def _decide(self, x: Tensor) -> Tensor:
        return self.result.predict(x)


class KNNProbe(Probe):
    """k-nearest neighbours (:func:`knn`).

    Args:
        k: the number of neighbours.
        metric: ``"cosine"`` or ``"euclidean"``.
        scaling: ``"standard"``, ``"l2"`` or None.

    >>> x, y = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([3, 3, 8, 8])
    >>> KNNProbe(k=1, metric="euclidean").fit(x, y).score(x, y)
    tensor(1., dtype=torch.float64)
    """

    def __init__(self, k: int = 5, *, metric: Metric = "cosine", scaling: Scaling | None = None) -> None:
        super().__init__(scaling=scaling)
        self.k, self.metric = k, metric

    def _learn(self, x: Tensor, y: Tensor) -> None:
        self._examples = x, y

    def _decide(self, x: Tensor) -> Tensor:
        return knn(*self._examples, x, self.k, metric=self.metric)


class CentroidProbe(Probe):
    """The nearest centroid (:func:`nearest_centroid`).

    Args:
        metric: ``"euclidean"`` or ``"cosine"``.
        scaling: ``"standard"``, ``"l2"`` or None.

    >>> x, y = torch.tensor([[0.0], [1.0], [4.0], [5.0]]), torch.tensor([3, 3, 8, 8])
    >>> CentroidProbe().fit(x, y).centroids
    tensor([[0.5000],
            [4.5000]])
    """

    def __init__(self, *, metric: Metric = "euclidean", scaling: Scaling | None = None) -> None:
        super().__init__(scaling=scaling)
        self.metric: Metric = metric

    def _learn(self, x: Tensor, y: Tensor) -> None:
        self.centroids = centroids(x, y, classes=len(self.labels))

    def _decide(self, x: Tensor) -> Tensor:
        return nearest_mean(self.centroids, x, self.metric)
