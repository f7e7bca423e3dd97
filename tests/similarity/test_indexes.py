import warnings
from functools import partial

import pytest
import torch
from torch import Tensor

from torchstone.similarity import (
    METRICS,
    SimilarityWarning,
    angular_distance,
    cca,
    cka,
    factor,
    find_metric,
    hsic,
    indexes,
    linear_regression,
    pwcca,
    svcca,
)

DIRECT = {
    "cka": cka,
    "cka_biased": partial(cka, estimator="biased"),
    "cka_rbf": partial(cka, kernel="rbf"),
    "cka_rbf:0.8": partial(cka, kernel="rbf", bandwidth=0.8),
    "hsic": hsic,
    "hsic_biased": partial(hsic, estimator="biased"),
    "cca_r2": cca,
    "cca_mean_rho": partial(cca, summary="mean_rho"),
    "svcca_r2": svcca,
    "svcca_mean_rho": partial(svcca, summary="mean_rho"),
    "pwcca": pwcca,
    "linear_regression": linear_regression,
    "procrustes": lambda x, y: angular_distance(x, y).cos(),
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def layers(*widths: int, n: int = 60, seed: int = 0) -> list[Tensor]:
    shared = normal(n, 2, seed=99)
    return [normal(n, d, seed=seed + d) + shared @ normal(2, d, seed=seed - d) for d in widths]


A, B = layers(3, 8, 20), layers(5, 12, seed=50)


def test_there_is_a_function_for_every_metric() -> None:
    assert {name.partition(":")[0] for name in DIRECT} == set(METRICS)


@pytest.mark.parametrize("metric", DIRECT)
def test_the_eigen_form_is_the_direct_one(metric: str) -> None:
    table = indexes([metric], [factor(x) for x in A], [factor(y) for y in B])[metric]
    direct = torch.stack([torch.stack([DIRECT[metric](x, y) for y in B]) for x in A])
    torch.testing.assert_close(table, direct, rtol=1e-10, atol=1e-12)


def test_wide_layers_too() -> None:
    a, b = layers(100, 3, n=30), layers(200, n=30, seed=50)
    names = ["cka", "cka_rbf", "hsic", "procrustes"]
    tables = indexes(names, [factor(x.float()) for x in a], [factor(y.float()) for y in b])
    for name in names:
        direct = torch.stack([DIRECT[name](x.float().double(), b[0].float().double()) for x in a])
        torch.testing.assert_close(tables[name][:, 0], direct, rtol=1e-7, atol=1e-7)


def test_all_at_once_and_one_by_one_agree_bit_for_bit() -> None:
    a, b = [factor(x) for x in A], [factor(y) for y in B]
    together = indexes(list(DIRECT), a, b)
    assert list(together) == list(DIRECT)
    for name in DIRECT:
        assert torch.equal(together[name], indexes([name], a, b)[name])


@pytest.mark.parametrize("metric", [m for m in DIRECT if not m.startswith("hsic")])
def test_self_comparison_is_one_on_the_diagonal(metric: str) -> None:
    a = [factor(x) for x in A]
    torch.testing.assert_close(indexes([metric], a, a)[metric].diagonal(), torch.ones(3, dtype=torch.float64))


def test_constant_layers_are_named_and_leave_the_others_alone() -> None:
    a, b = [factor(A[0]), factor(torch.ones(60, 4))], [factor(y) for y in B]
    with pytest.warns(SimilarityWarning, match=r"a\[1\] is constant on these 60 examples") as caught:
        tables = indexes(list(METRICS), a, b)
    assert len(caught) == 1
    whole = indexes(list(METRICS), a[:1], b)
    for name, table in tables.items():
        torch.testing.assert_close(table[:1], whole[name])
        assert (table[1] == 0).all() if name.startswith("hsic") else table[1].isnan().all()


def test_degenerate_layers_are_named() -> None:
    a, b = [factor(normal(10, 3))], [factor(normal(10, 4, seed=1)), factor(normal(10, 20, seed=2))]
    for metric in ("cca_r2", "cca_mean_rho", "pwcca", "linear_regression"):
        with pytest.raises(ValueError, match=rf"{metric} says nothing here: b\[1\] spans all 9"):
            indexes([metric], a, b)
        forced = indexes([metric], a, b, allow_degenerate=True)[metric]
        assert forced[0, 0] < 0.99
        assert forced[0, 1].item() == pytest.approx(1)
    assert indexes(["svcca_r2"], a, b, threshold=0.5)["svcca_r2"].shape == (1, 2)
    indexes(["linear_regression"], b, a)  # a degenerate target is no obstacle


def test_options_reach_svcca() -> None:
    a, b = [factor(A[2])], [factor(B[1])]
    got = indexes(["svcca_r2"], a, b, threshold=0.6, criterion="singular_values")["svcca_r2"]
    torch.testing.assert_close(got.squeeze(), svcca(A[2], B[1], threshold=0.6, criterion="singular_values"))


def test_the_biased_index_warns_of_its_chance_level() -> None:
    a = [factor(normal(10, 3)), factor(normal(10, 20))]
    with pytest.warns(SimilarityWarning, match="Biased CKA of 20 and 20 features on 10 examples"):
        indexes(["cka_biased"], a, a)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        indexes(["cka"], a, a)


def test_gradients_flow_through_the_whole_table() -> None:
    def total(x: Tensor, y: Tensor) -> Tensor:
        metrics = ["cka", "cka_rbf", "cca_r2", "pwcca", "linear_regression", "procrustes"]
        tables = indexes(metrics, [factor(x)], [factor(y)])
        return torch.stack(list(tables.values()))

    assert torch.autograd.gradcheck(total, (normal(9, 2).requires_grad_(), normal(9, 3, seed=1).requires_grad_()))


@pytest.mark.parametrize("name", ["ckaa", "cca_r2:0.4", "cka_rbf:", "cka_rbf:-1", "cka_rbf:wide", "cka_rbf:inf"])
def test_unknown_metrics(name: str) -> None:
    with pytest.raises(ValueError, match="metric"):
        find_metric(name)


def test_bad_input() -> None:
    a = [factor(A[0])]
    with pytest.raises(ValueError, match=r"The layers have \[30, 60\] rows"):
        indexes(["cka"], a, [factor(A[0][:30])])
    with pytest.raises(ValueError, match="a has 1 layers, b 0"):
        indexes(["cka"], a, [])
    with pytest.raises(ValueError, match=r"factor\(x, keep_basis=True\)"):
        indexes(["pwcca"], [factor(A[0], keep_basis=False)], a)
    with pytest.raises(ValueError, match="needs at least 4"):
        indexes(["cka"], [factor(A[0][:3])], [factor(A[0][:3])])


def test_layers_by_name_are_called_by_it() -> None:
    a, b = {"conv1": factor(A[0]), "dead": factor(torch.ones(60, 4))}, {"conv2": factor(B[0])}
    with pytest.warns(SimilarityWarning, match="^dead is constant"):
        tables = indexes(["cka"], a, b)
    assert torch.equal(tables["cka"][:1], indexes(["cka"], [a["conv1"]], [b["conv2"]])["cka"])
    with pytest.raises(ValueError, match="cca_r2 says nothing here: wide spans"):
        indexes(["cca_r2"], {"wide": factor(normal(60, 80))}, b)


def test_what_is_no_list_of_names_or_no_factor_is_refused() -> None:
    layers = [factor(A[0])]
    with pytest.raises(TypeError, match="metrics must be a sequence of names"):
        indexes("cka", layers, layers)
    with pytest.raises(TypeError, match=r"b\[0\] is a Tensor: factors are needed"):
        indexes(["cka"], layers, [A[0]])
