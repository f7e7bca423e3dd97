from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from torchstone.probes import CentroidProbe, KNNProbe, LogisticProbe, Probe

NAMES = torch.tensor([-3, 10, 400])
PAIRS = [
    (LogisticProbe(2.0), LogisticRegression(C=2.0, tol=1e-9)),
    (KNNProbe(3, metric="euclidean", scaling="standard"), KNeighborsClassifier(3)),
    (CentroidProbe(scaling="standard"), NearestCentroid()),
]


def problem(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(shape[-2]) % 3
    noise = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return torch.eye(3, shape[-1], dtype=torch.float64)[y] + 0.5 * noise, NAMES[y].expand(shape[:-1])


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda value: type(value).__name__)
def test_probes_predict_what_scikit_learn_does_for_labels_of_any_value(ours: Probe, theirs: object) -> None:
    (x, y), (test, answers) = problem(60, 4), problem(50, 4, seed=1)
    peer = make_pipeline(StandardScaler(), theirs).fit(x.numpy(), y.numpy())
    predicted = ours.fit(x, y).predict(test)
    np.testing.assert_array_equal(predicted.numpy(), peer.predict(test.numpy()))
    assert ours.score(test, answers).item() == pytest.approx(peer.score(test.numpy(), answers.numpy()))


@pytest.mark.parametrize("make", [LogisticProbe, KNNProbe, CentroidProbe])
@pytest.mark.parametrize("scaling", ["standard", "l2", None])
def test_many_problems_are_as_many_single_ones(make: Callable[..., Probe], scaling: str | None) -> None:
    (x, y), (test, answers) = problem(4, 30, 5), problem(4, 20, 5, seed=1)
    together = make(scaling=scaling).fit(x, y).score(test, answers)
    alone = [make(scaling=scaling).fit(x[i], y[i]).score(test[i], answers[i]) for i in range(4)]
    assert torch.equal(together, torch.stack(alone))
    shared = make(scaling=scaling).fit(x, y).score(test[0], answers[0])
    assert shared.shape == (4,)
    assert shared[0] == together[0]


def test_prediction_comes_after_learning() -> None:
    with pytest.raises(RuntimeError, match=r"This KNNProbe has learnt nothing yet: call fit\(x, y\) first"):
        KNNProbe().predict(torch.zeros(2, 2))


def test_labels_that_do_not_fit_are_refused() -> None:
    x, y = problem(30, 4)
    with pytest.raises(TypeError, match=r"`y` has dtype torch.float32"):
        CentroidProbe().fit(x, y.float())
    with pytest.raises(ValueError, match=r"`y` has shape \(29,\)"):
        CentroidProbe().fit(x, y[1:])
    with pytest.raises(ValueError, match=r"`y` has shape \(29,\), but the predictions \(30,\)"):
        CentroidProbe().fit(x, y).score(x, y[1:])
    with pytest.raises(ValueError, match="one class only"):
        LogisticProbe().fit(x, torch.full_like(y, 7))


@pytest.mark.parametrize("make", [LogisticProbe, KNNProbe, CentroidProbe])
@pytest.mark.parametrize("scaling", ["standard", "l2", None])
def test_what_cannot_be_predicted_is_refused(make: Callable[..., Probe], scaling: str | None) -> None:
    x, y = problem(30, 4)
    learnt = make(scaling=scaling).fit(x, y)
    with pytest.raises(ValueError, match="`x` has NaN or infinite values"):
        learnt.predict(x * torch.nan)
    with pytest.raises(ValueError, match=r"`x` has shape \(30, 3\), but the training examples \(30, 4\)"):
        learnt.predict(x[:, :3])
    with pytest.raises(ValueError, match=r"as many problems"):
        make(scaling=scaling).fit(*problem(3, 30, 4)).predict(problem(2, 30, 4)[0])
    with pytest.raises(TypeError, match="`y` is a list"):
        learnt.score(x, y.tolist())
