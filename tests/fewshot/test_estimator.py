"""The estimator: scikit-learn's own tools accept it, labels of any type, evaluation mode, what is refused."""

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import normalize
from torch import Tensor, nn

from torchstone.data import affine_jitter
from torchstone.fewshot import HEADS, FewShotClassifier
from torchstone.nets import Conv4


def pictures(n: int = 24, seed: int = 0) -> tuple[Tensor, list[str]]:
    """Bright on the left, bright on the right, bright above."""
    generator = torch.Generator().manual_seed(seed)
    x = 0.3 * torch.rand(n, 1, 16, 16, generator=generator)
    x[::3, :, :, :8] += 0.6
    x[1::3, :, :, 8:] += 0.6
    x[2::3, :, :8] += 0.6
    return x, [("left", "right", "above")[i % 3] for i in range(n)]


@pytest.mark.parametrize("head", HEADS)
def test_it_learns_from_a_few_pictures(head: str) -> None:
    x, names = pictures()
    classifier = FewShotClassifier(nn.Flatten(), head).fit(x[:6], names[:6])
    assert classifier.classes_.tolist() == ["above", "left", "right"]
    assert classifier.score(x[6:], names[6:]) == 1.0


def test_it_is_logistic_regression_on_normalised_features() -> None:
    x, names = pictures()
    rows = normalize(x.flatten(1).numpy())
    reference = LogisticRegression(C=3.0, tol=1e-8, max_iter=1000).fit(rows[:9], names[:9])
    ours = FewShotClassifier(nn.Flatten(), c=3.0).fit(x[:9], names[:9])
    np.testing.assert_allclose(ours.predict_proba(x[9:]), reference.predict_proba(rows[9:]), atol=1e-4)
    assert ours.predict(x[9:]).tolist() == reference.predict(rows[9:]).tolist()


@pytest.mark.parametrize(
    "labels", [[3, 8, -1] * 2, np.array(["x", "y", "z"] * 2), torch.tensor([5, 6, 7] * 2), [0.5, 1.5, 2.5] * 2]
)
def test_labels_of_any_type_come_back(labels: Any) -> None:
    x, _ = pictures(6)
    predicted = FewShotClassifier(nn.Flatten(), "neighbour").fit(x, labels).predict(x)
    assert predicted.tolist() == np.asarray(labels).tolist()


def test_arrays_and_bytes_are_images_too() -> None:
    x, names = pictures()
    bytes_ = (255 * x.clamp(0, 1)).byte()
    reference = FewShotClassifier(nn.Flatten()).fit(bytes_.float() / 255, names)
    for images in (bytes_, bytes_.numpy()):
        ours = FewShotClassifier(nn.Flatten()).fit(images, names)
        np.testing.assert_allclose(ours.predict_proba(images), reference.predict_proba(bytes_.float() / 255), atol=1e-5)


def test_probabilities_only_where_the_head_has_them() -> None:
    x, names = pictures()
    for head, kind in HEADS.items():
        classifier = FewShotClassifier(nn.Flatten(), head).fit(x, names)
        assert hasattr(classifier, "predict_proba") == kind.probabilities == (head in {"logistic", "prototypes"})
        if kind.probabilities:
            probabilities = classifier.predict_proba(x)
            np.testing.assert_allclose(probabilities.sum(1), 1)
            assert (classifier.classes_[probabilities.argmax(1)] == classifier.predict(x)).all()


def test_scikit_learn_clones_and_cross_validates_it() -> None:
    x, names = pictures()
    classifier = FewShotClassifier(nn.Flatten(), "centroid", c=2.0)
    copy = clone(classifier.set_params(c=4.0)).set_params(head="logistic")
    assert copy.get_params()["c"] == 4.0
    assert classifier.head == "centroid"
    assert cross_val_score(classifier, x.numpy(), names, cv=3).mean() == 1.0


def test_the_encoder_is_in_evaluation_mode_and_left_as_it_was() -> None:
    x, names = pictures()
    encoder = Conv4(4, channels=1, seed=0).train()
    encoder.blocks[0].eval()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    classifier = FewShotClassifier(encoder).fit(x, names)
    alone = np.concatenate([classifier.predict_proba(image[None]) for image in x])
    np.testing.assert_allclose(classifier.predict_proba(x), alone, atol=1e-5)  # no image sees the others
    assert all(torch.equal(before[name], value) for name, value in encoder.state_dict().items())
    assert encoder.training
    assert not encoder.blocks[0].training


def test_augmented_copies_follow_the_seed() -> None:
    x, names = pictures()

    def fitted(seed: int) -> Any:
        classifier = FewShotClassifier(nn.Flatten(), augment=affine_jitter(), copies=3, seed=seed)
        return classifier.fit(x.clamp(0, 1), names).predict_proba(x)

    assert (fitted(0) == fitted(0)).all()
    assert (fitted(0) != fitted(1)).any()


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["a"] * 6, "has 1 class"), (["a", "b"], "one label each"), ([["a"] * 6], "one label each")],
)
def test_labels_that_do_not_fit(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FewShotClassifier(nn.Flatten()).fit(pictures(6)[0], labels)


def test_what_else_is_refused() -> None:
    x, names = pictures(6)
    with pytest.raises(ValueError, match="`head` must be one of"):
        FewShotClassifier(nn.Flatten(), "forest").fit(x, names)
    with pytest.raises(NotFittedError):
        FewShotClassifier(nn.Flatten()).predict(x)
    with pytest.raises(TypeError, match="`images` must be uint8"):
        FewShotClassifier(nn.Flatten()).fit((255 * x).int(), names)
    with pytest.raises(ValueError, match="`encoder` gave NaN"):
        FewShotClassifier(nn.Flatten()).fit(x * torch.nan, names)
    with pytest.raises(ValueError, match="must give one row of features an image"):
        FewShotClassifier(nn.Flatten(0)).fit(x, names)


def test_the_package_comes_without_scikit_learn() -> None:
    program = "import sys, torchstone.fewshot as f; assert 'sklearn' not in sys.modules; f.FewShotClassifier; f.wrong"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "has no attribute 'wrong'" in done.stderr
