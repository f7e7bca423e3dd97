"""The heads against scikit-learn, one episode at a time; evaluation against a loop; the interval against scipy."""

from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize
from sklearn.svm import SVC
from torch import Tensor

from torchstone.fewshot import HEADS, Episodes, EpisodeScores, evaluate_episodes, fit_head, prototype_logits, unit_rows

WAYS, SHOTS, QUERIES, D = 4, 3, 5, 6
REFERENCES: dict[str, Any] = {
    "logistic": lambda: LogisticRegression(C=2.0, tol=1e-8, max_iter=1000),
    "centroid": NearestCentroid,
    "neighbour": lambda: KNeighborsClassifier(1),
    "svm": lambda: make_pipeline(StandardScaler(), SVC(kernel="linear", C=2.0, break_ties=True, random_state=0)),
    "prototypes": NearestCentroid,
}


def clouds(classes: int = 10, each: int = 12, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(classes * each) % classes
    centres = torch.randn(classes, D, generator=generator, dtype=dtype)
    return centres[labels] + 0.8 * torch.randn(len(labels), D, generator=generator, dtype=dtype), labels


@pytest.mark.parametrize("l2", [None, True, False])
@pytest.mark.parametrize("head", HEADS)
def test_a_head_is_scikit_learns(head: str, l2: bool | None) -> None:
    features, labels = clouds()
    episodes = Episodes(labels, WAYS, SHOTS, QUERIES, count=12, seed=0)
    scores = evaluate_episodes(features, episodes, head=head, c=2.0, l2=l2)
    normalised = l2 if l2 is not None else head != "prototypes"
    rows = normalize(features.numpy()) if normalised else features.numpy()
    for episode, accuracy in zip(episodes, scores.accuracies, strict=True):
        reference = REFERENCES[head]().fit(rows[episode.support], episode.support_labels)
        assert accuracy.item() == pytest.approx(reference.score(rows[episode.query], episode.query_labels))
    assert 0.3 < scores.mean < 1


def test_logistic_coefficients_are_scikit_learns() -> None:
    features, labels = clouds()
    episode = Episodes(labels, WAYS, SHOTS, QUERIES, count=1, seed=0).at(0)
    support = features[episode.support]
    score = fit_head("logistic", support[None], episode.support_labels, l2=False)
    reference = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(support, episode.support_labels)
    probes = torch.cat([torch.zeros(1, D), torch.eye(D)]).double()
    bias, *weights = score(probes[None])[0]
    np.testing.assert_allclose(bias - bias.mean(), reference.intercept_ - reference.intercept_.mean(), atol=1e-4)
    np.testing.assert_allclose(torch.stack(weights) - bias, reference.coef_.T, atol=1e-4)


def test_two_ways() -> None:
    features, labels = clouds()
    episodes = Episodes(labels, 2, 1, QUERIES, count=10, seed=0)
    for head in HEADS:
        assert evaluate_episodes(features, episodes, head=head).mean > 0.6


def test_with_one_shot_prototypes_are_nearest_neighbours() -> None:
    features, labels = clouds()
    episodes = Episodes(labels, WAYS, 1, QUERIES, count=40, seed=0)
    assert torch.equal(
        evaluate_episodes(features, episodes, head="prototypes").accuracies,
        evaluate_episodes(features, episodes, head="neighbour", l2=False).accuracies,
    )


def test_prototypes_are_a_linear_classifier() -> None:
    features, labels = clouds()
    episode = Episodes(labels, WAYS, SHOTS, QUERIES, count=1, seed=0).at(0)
    support, query = features[episode.support], features[episode.query]
    centres = support.view(WAYS, SHOTS, D).mean(1)
    linear = query @ (2 * centres).T - centres.square().sum(1)
    logits = prototype_logits(support, episode.support_labels, query)
    torch.testing.assert_close(logits.softmax(1), linear.softmax(1))
    torch.testing.assert_close(logits, linear - query.square().sum(1, keepdim=True))
    scores = fit_head("prototypes", support[None], episode.support_labels)(query[None])
    torch.testing.assert_close(scores[0], logits)


def test_prototype_logits_have_right_gradients() -> None:
    support, query = (torch.randn(n, 2, generator=torch.Generator().manual_seed(n)).double() for n in (6, 3))
    labels = torch.arange(6) % 3
    inputs = (support.requires_grad_(), query.requires_grad_())
    assert torch.autograd.gradcheck(lambda s, q: prototype_logits(s, labels, q), inputs)


@pytest.mark.parametrize("head", HEADS)
def test_copies_are_supports_with_the_label_of_their_image(head: str) -> None:
    features, labels = clouds()
    noise = torch.randn(len(features), 3, D, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    copies = features[:, None] + 0.3 * noise
    episodes = Episodes(labels, WAYS, 2, QUERIES, count=8, seed=0)
    scores = evaluate_episodes(features, episodes, head=head, copies=copies)
    for episode, accuracy in zip(episodes, scores.accuracies, strict=True):
        support = copies[episode.support].flatten(0, 1)
        score = fit_head(head, support[None], episode.support_labels.repeat_interleave(3))
        hits = score(features[episode.query][None])[0].argmax(1) == episode.query_labels
        assert accuracy.item() == pytest.approx(hits.double().mean().item())


def test_one_copy_that_is_the_image_changes_nothing() -> None:
    features, labels = clouds()
    episodes = Episodes(labels, WAYS, SHOTS, QUERIES, count=8, seed=0)
    plain, copied = (evaluate_episodes(features, episodes, copies=copies) for copies in (None, features[:, None]))
    assert torch.equal(plain.accuracies, copied.accuracies)


@pytest.mark.parametrize("head", HEADS)
def test_blocks_of_episodes_change_nothing(head: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clouds(dtype=torch.float32)
    episodes = Episodes(labels, WAYS, SHOTS, QUERIES, count=7, seed=0)
    whole = evaluate_episodes(features, episodes, head=head)
    monkeypatch.setattr("torchstone.fewshot.evaluation.NUMBERS_AT_ONCE", 3 * episodes.images_each * D)
    assert torch.equal(evaluate_episodes(features, episodes, head=head).accuracies, whole.accuracies)


def test_scores_do_not_depend_on_the_order_of_classes_or_episodes() -> None:
    features, labels = clouds()
    renamed = 100 - labels  # other numbers, the same classes in another order
    for head in HEADS:
        score = evaluate_episodes(features, Episodes(renamed, WAYS, SHOTS, QUERIES, count=200, seed=0), head=head)
        other = evaluate_episodes(features, Episodes(labels, WAYS, SHOTS, QUERIES, count=200, seed=1), head=head)
        assert abs(score.mean - other.mean) < 3 * (score.margin + other.margin) / 2


def test_a_row_of_zeros_stays_zeros_and_gives_no_nan() -> None:
    support = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]])
    assert torch.equal(unit_rows(support), support)
    for head in HEADS:
        scores = fit_head(head, support, torch.tensor([0, 1]))(torch.tensor([[[0.0, 0.0], [2.0, 0.0]]]))
        assert scores.argmax(-1).tolist() == [[0, 1]]
        assert scores.isfinite().all()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(
    ("scale", "dtype"),
    [
        (1e4, torch.float16),
        (1e-7, torch.float16),
        (1e30, torch.bfloat16),
        (1e30, torch.float32),
        (1e-30, torch.float32),
    ],
)
def test_no_scale_of_the_features_overflows(head: str, scale: float, dtype: torch.dtype) -> None:
    features = (scale * torch.eye(3).repeat_interleave(5, 0)).to(dtype)
    features += features.amax() * 0.01 * torch.rand(15, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    episodes = Episodes(torch.arange(15) // 5, 3, 1, 2, count=20, seed=0)
    assert evaluate_episodes(features, episodes, head=head).mean == 1.0


def test_the_interval_is_students() -> None:
    accuracies = torch.rand(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for level in (0.9, 0.95):
        scores = EpisodeScores(accuracies, level)
        values = accuracies.numpy()
        expected = scipy.stats.t.interval(level, 49, loc=values.mean(), scale=scipy.stats.sem(values))
        assert scores.interval == pytest.approx(expected)
    assert EpisodeScores(torch.tensor([0.5])).margin == float("inf")


@pytest.mark.parametrize(
    ("accuracies", "level", "message"),
    [(torch.zeros(0), 0.95, "must be a vector"), (torch.zeros(2, 2), 0.95, "must be a vector")]
    + [(torch.zeros(2), level, "`level` must lie between 0 and 1") for level in (0.0, 1.0, float("nan"))],
)
def test_senseless_scores_are_refused(accuracies: Tensor, level: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EpisodeScores(accuracies, level)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": "forest"}, "`head` must be one of logistic, centroid, neighbour, svm, prototypes"),
        ({"c": 0.0}, "`c`, the inverse strength"),
        ({"c": float("nan")}, "`c`, the inverse strength"),
        ({"features": torch.zeros(7, D)}, "`features` has 7 rows, but the episodes were drawn from 120"),
        ({"features": torch.zeros(120)}, "`features` must be floating point with 2 axes"),
        ({"features": torch.zeros(120, D, dtype=torch.int64)}, "`features` must be floating point"),
        ({"features": torch.full((120, D), torch.nan)}, "`features` has NaN"),
        ({"copies": torch.zeros(120, D)}, "`copies` must be floating point with 3 axes"),
        ({"copies": torch.zeros(9, 2, D)}, "`copies` has 9 rows"),
        ({"copies": torch.zeros(120, 2, D + 1)}, "`copies` has 7 features a row, but `features` 6"),
    ],
)
def test_what_evaluation_refuses(change: dict[str, Any], message: str) -> None:
    features, labels = clouds()
    options = {"features": features, "episodes": Episodes(labels, 2, 1, 1, count=1, seed=0), **change}
    with pytest.raises(ValueError, match=message):
        evaluate_episodes(options.pop("features"), options.pop("episodes"), **options)


def test_supports_and_labels_must_fit() -> None:
    with pytest.raises(ValueError, match=r"`support` must be \(e, s, d\)"):
        fit_head("centroid", torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]))
    with pytest.raises(ValueError, match="one of them has no support"):
        fit_head("centroid", torch.zeros(1, 2, 2), torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="`labels` must count from 0, but the lowest is -1"):
        fit_head("centroid", torch.zeros(1, 2, 2), torch.tensor([-1, 0]))
    with pytest.raises(TypeError, match=r"`labels` has dtype torch\.float32"):
        fit_head("centroid", torch.zeros(1, 2, 2), torch.tensor([0.0, 1.0]))
    with pytest.raises(TypeError, match="`features` is a list"):
        evaluate_episodes([[0.0]], Episodes(torch.arange(4) // 2, 2, 1, 1, count=1, seed=0))  # type: ignore[arg-type]
