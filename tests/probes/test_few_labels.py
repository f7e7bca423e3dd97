from typing import Any

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from torchstone.probes import CentroidProbe, KNNProbe, LogisticProbe, probe


class Notes:
    """Writes down what it is shown; right about everything."""

    def __init__(self) -> None:
        self.shown: list[set[int]] = []
        self.asked: list[set[int]] = []
        self.labels: list[list[int]] = []

    def fit(self, x: Tensor, y: Tensor) -> None:
        self.shown.append(set(x[:, 0].long().tolist()))
        self.labels.append(torch.bincount(y).tolist())

    def score(self, x: Tensor, y: Tensor) -> float:
        self.asked.append(set(x[:, 0].long().tolist()))
        return 1.0


def numbered(n: int) -> tuple[Tensor, Tensor]:
    """Features that are the examples' numbers, so that a draw can be read off them."""
    return torch.arange(n)[:, None].float(), torch.arange(n) % 3


def clusters(n: int, noise: float = 0.5) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 3
    return torch.eye(3)[y] + noise * torch.randn(n, 3, generator=generator), y


def test_all_methods_see_the_same_balanced_nested_draws_and_no_test_example() -> None:
    x, y = numbered(60)
    first, second = Notes(), Notes()
    probe(x, y, labels_per_class=(2, 10), draws=3, seed=0, methods={"a": first, "b": second})
    assert (first.shown, first.asked) == (second.shown, second.asked)
    assert first.labels == [[2] * 3, [10] * 3] * 3
    for few, many in zip(first.shown[::2], first.shown[1::2], strict=True):
        assert few < many
    for shown, asked in zip(first.shown, first.asked, strict=True):
        assert not shown & asked
        assert len(asked) == 30
    assert first.shown[1] != first.shown[3]


def test_draws_depend_on_seed_and_labels_alone() -> None:
    x, y = numbered(60)

    def shown(features: Tensor, **settings: Any) -> list[set[int]]:
        notes = Notes()
        probe(features, y, labels_per_class=(5,), methods={"notes": notes}, **settings)
        return notes.shown

    assert shown(x, draws=2, seed=3) == shown(x, draws=4, seed=3)[:2]
    assert shown(torch.cat([x, -x], 1), draws=2, seed=3) == shown(x, draws=2, seed=3)
    assert shown(x, draws=2, seed=4) != shown(x, draws=2, seed=3)


def test_a_test_set_of_ones_own_is_used_as_it_is() -> None:
    x, y = numbered(60)
    notes = Notes()
    probe(x, y, labels_per_class=(20,), draws=2, seed=0, methods={"notes": notes}, test=(x[:6] + 100, y[:6]))
    assert notes.asked == [set(range(100, 106))] * 2


def test_accuracies_are_those_of_the_probes() -> None:
    x, y = clusters(90)
    test = x + 0.1, y
    result = probe(x, y, labels_per_class=(30,), draws=2, seed=0, test=test)
    for name, classifier in {
        "logistic": LogisticProbe(),
        "nearest neighbour": KNNProbe(1),
        "nearest centroid": CentroidProbe(),
    }.items():  # all the examples, in whatever order
        expected = classifier.fit(x, y).score(*test)
        torch.testing.assert_close(result.of(name, 30), expected.expand(2))


def test_more_labels_help_and_noise_is_at_chance() -> None:
    result = probe(*clusters(600), labels_per_class=(1, 50), draws=10, seed=0)
    for method in ("logistic", "nearest centroid"):
        assert result.of(method, 50).mean() > result.of(method, 1).mean() + 0.05
    y = clusters(600)[1]
    noise = torch.randn(600, 3, generator=torch.Generator().manual_seed(1))
    assert (probe(noise, y, labels_per_class=(20,), draws=10, seed=0).accuracy.mean(-1) - 1 / 3).abs().max() < 0.05


def test_scikit_learns_classifiers_will_do() -> None:
    x, y = clusters(90)
    methods = {"ours": LogisticProbe(scaling=None), "theirs": LogisticRegression(tol=1e-8)}
    result = probe(x, y, labels_per_class=(5, 10), seed=0, methods=methods)
    torch.testing.assert_close(result.accuracy[0], result.accuracy[1])


def test_what_was_not_tried_has_no_accuracy() -> None:
    result = probe(*numbered(60), labels_per_class=(2, 10), seed=0, methods={"notes": Notes()})
    with pytest.raises(ValueError, match="`method` must be one of notes, but is 'svm'"):
        result.of("svm", 2)
    with pytest.raises(ValueError, match="`labels_per_class` must be one of 2, 10, but is 3"):
        result.of("notes", 3)


def test_it_prints_a_table() -> None:
    x, y = numbered(60)
    text = str(probe(x, y, labels_per_class=(2, 10), seed=0, methods={"all right": Notes()}))
    assert text.splitlines()[1].split() == ["all", "right", "100.0", "100.0"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"labels_per_class": (5, 20)}, "Class 0 has 20 examples, but 20 labelled ones and 1 to test with are needed"),
        ({"labels_per_class": (21,), "test": numbered(6)}, "Class 0 has 20 examples, but 21 labelled ones are needed"),
        ({"labels_per_class": (0, 5)}, r"`labels_per_class` is \(0, 5\)"),
        ({"labels_per_class": ()}, r"`labels_per_class` is \(\)"),
        ({"labels_per_class": 5}, "`labels_per_class` is 5: give positive whole numbers"),
        ({"labels_per_class": (2.5,)}, "give positive whole numbers"),
        ({"methods": {}}, "`methods` is empty"),
        ({"draws": 0}, "`draws` is 0"),
        ({"labels": torch.arange(60) % 3 * 2}, "Class 1 has 0 examples"),
        ({"labels": torch.arange(59) % 3}, r"`labels` has shape \(59,\)"),
        ({"features": numbered(60)[0] / 0}, "`features` has NaN or infinite values"),
    ],
)
def test_what_is_refused(arguments: dict[str, Any], message: str) -> None:
    x, y = numbered(60)
    good: dict[str, Any] = {"features": x, "labels": y, "labels_per_class": (5,), "seed": 0}
    with pytest.raises(ValueError, match=message):
        probe(**(good | arguments))
