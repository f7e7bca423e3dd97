"""scikit-learn's manners: a frozen encoder, and a classifier fitted to a few pictures."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Shaped
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from torchstone.data import Augment
from torchstone.fewshot.embedding import embed, embed_copies
from torchstone.fewshot.heads import find_head, fit_head

Images = Shaped[Tensor, "n ..."] | npt.NDArray[Any]


def has_probabilities(estimator: "FewShotClassifier") -> bool:
    """Whether the softmax of the head's scores is meant as probabilities."""
    return find_head(estimator.head).probabilities


class FewShotClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier from a few pictures of each class, on the embedding of an encoder that stays as it is.

    It has scikit-learn's manners: ``get_params``, ``clone``, ``score``, a place in pipelines and cross-validation.

    Args:
        encoder: from images to rows of features, or a :class:`BaseClassifier`; always used in evaluation mode.
        head: ``"logistic"``, ``"centroid"``, ``"neighbour"``, ``"svm"`` or ``"prototypes"``; see :func:`fit_head`.
        c: inverse strength of the penalty (logistic, svm).
        l2: whether features are divided by their norms; by default all heads but ``prototypes`` do.
        augment: a random change; if given, the head is fitted to ``copies`` changed copies of each picture.
        copies: how many.
        seed: of these changes.
        batch_size: pictures at a time.

    Attributes:
        classes_: the labels, sorted.

    >>> pictures = torch.eye(4).view(4, 1, 2, 2).repeat(2, 1, 1, 1)
    >>> names = ["cat", "dog", "owl", "fox"] * 2
    >>> FewShotClassifier(nn.Flatten()).fit(pictures, names).predict(pictures[:2]).tolist()
    ['cat', 'dog']

    Paper: Tian, Wang, Krishnan, Tenenbaum, Isola 2020, arXiv:2003.11539, section 3.2.
    Differs from the paper: no augmented copies unless ``augment`` is given.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: str = "logistic",
        *,
        c: float = 1.0,
        l2: bool | None = None,
        augment: Augment | None = None,
        copies: int = 5,
        seed: int = 0,
        batch_size: int = 256,
    ) -> None:
        self.encoder = encoder
        self.head = head
        self.c = c
        self.l2 = l2
        self.augment = augment
        self.copies = copies
        self.seed = seed
        self.batch_size = batch_size

    def fit(self, images: Images, labels: npt.ArrayLike | Tensor) -> Self:
        """Fit the head to the features of labelled pictures.

        Args:
            images: (n, c, h, w), uint8 (divided by 255) or floating point.
            labels: (n,), of any type that can be sorted: names, numbers.

        Returns:
            Itself.

        Raises:
            ValueError: images and labels don't fit together, or there are fewer than 2 classes.
        """
        x, y = as_tensor(images), np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
        if y.shape != x.shape[:1]:
            raise ValueError(f"`labels` has shape {y.shape}, but {len(x)} images need one label each: ({len(x)},).")
        classes, numbers = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"`labels` has {len(classes)} class, but a classifier needs 2 or more.")
        support = self._support(x)  # (n, m, d)
        targets = torch.from_numpy(numbers).to(support.device).repeat_interleave(support.shape[1])
        self._scorer = fit_head(self.head, support.flatten(0, 1)[None], targets, c=self.c, l2=self.l2)
        self.classes_ = classes
        return self

    def predict(self, images: Images) -> npt.NDArray[Any]:
        """The label of each picture of (n, c, h, w), an array (n,)."""
        scores = self._scores(images)
        predicted: npt.NDArray[Any] = self.classes_[scores.argmax(1).cpu().numpy()]
        return predicted

    @available_if(has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, images: Images) -> npt.NDArray[np.float64]:
        """The probability of each class in the order of ``classes_``, (n, c); heads without probabilities lack this."""
        probabilities: npt.NDArray[np.float64] = self._scores(images).double().softmax(1).cpu().numpy()
        return probabilities

    def _support(self, x: Shaped[Tensor, "n ..."]) -> Float[Tensor, "n m d"]:
        if self.augment is None:
            return embed(self.encoder, x, batch_size=self.batch_size)[:, None]
        return embed_copies(
            self.encoder, x, self.augment, copies=self.copies, seed=self.seed, batch_size=self.batch_size
        )

    def _scores(self, images: Images) -> Float[Tensor, "n c"]:
        check_is_fitted(self, "classes_")
        return self._scorer(embed(self.encoder, as_tensor(images), batch_size=self.batch_size)[None])[0]


def as_tensor(images: Images) -> Shaped[Tensor, "n ..."]:
    """Images as a tensor."""
    return images if isinstance(images, Tensor) else torch.from_numpy(np.array(images))
