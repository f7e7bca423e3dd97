"""Permutation, sign and Wilcoxon tests: against scipy and by enumeration; those that could never reject are refused."""

from collections.abc import Callable
from itertools import combinations, product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from torchstone.lab.statistics import permutation_test, sign_test, wilcoxon_test

few = st.lists(st.integers(-3, 3), min_size=6, max_size=8)


def draw(n: int, seed: int) -> np.ndarray:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).numpy()


def two_sided(observed: float, all_values: list[float]) -> float:
    values = np.asarray(all_values)
    tails = (values <= observed + 1e-9).mean(), (values >= observed - 1e-9).mean()
    return min(1.0, 2 * min(tails))


@given(few)
def test_wilcoxon_by_enumeration_with_ties(differences: list[int]) -> None:
    kept = [each for each in differences if each]
    ranks = stats.rankdata(np.abs(kept)) if kept else np.zeros(0)
    sums = [float(ranks @ np.array(signs)) for signs in product([0, 1], repeat=len(kept))]
    observed = float(ranks[np.array(kept) > 0].sum()) if kept else 0.0
    assert wilcoxon_test(differences, [0] * len(differences)) == pytest.approx(two_sided(observed, sums))


@pytest.mark.parametrize("n", [6, 12, 40])
def test_wilcoxon_without_ties_is_scipys(n: int) -> None:
    a, b = draw(n, 1) + 0.4, draw(n, 2)
    assert wilcoxon_test(a, b) == pytest.approx(stats.wilcoxon(a, b, method="exact").pvalue)


def test_wilcoxon_of_many_pairs_is_nearly_normal() -> None:
    a, b = draw(800, 1) + 0.1, draw(800, 2)
    assert wilcoxon_test(a, b) == pytest.approx(stats.wilcoxon(a, b, method="asymptotic").pvalue, rel=0.01)


@given(few)
def test_the_sign_test_is_scipys_binomial_test(differences: list[int]) -> None:
    wins, n = sum(each > 0 for each in differences), sum(each != 0 for each in differences)
    expected = stats.binomtest(wins, n).pvalue if n else 1.0
    assert sign_test(differences, [0] * len(differences)) == pytest.approx(expected)


@given(few)
def test_the_paired_permutation_test_by_enumeration(differences: list[int]) -> None:
    means = [float(np.mean(np.multiply(signs, differences))) for signs in product([1, -1], repeat=len(differences))]
    found = permutation_test(differences, [0] * len(differences), paired=True, seed=0)
    assert found == pytest.approx(two_sided(float(np.mean(differences)), means))


def test_the_unpaired_permutation_test_by_enumeration() -> None:
    a, b = draw(4, 1) + 1, draw(5, 2)
    pooled = np.concatenate([a, b])
    differences = [
        float(pooled[list(chosen)].mean() - np.delete(pooled, list(chosen)).mean())
        for chosen in combinations(range(9), 4)
    ]
    found = permutation_test(a, b, paired=False, seed=0)
    assert found == pytest.approx(two_sided(float(a.mean() - b.mean()), differences))


def test_random_exchanges_come_close_to_all_and_are_never_zero() -> None:
    a, b = draw(10, 1) + 0.5, draw(10, 2)
    exact = permutation_test(a, b, paired=True, seed=0)
    drawn = permutation_test(a, b, paired=True, resamples=1000, seed=0)
    assert drawn == pytest.approx(exact, abs=0.03)
    assert drawn == permutation_test(a, b, paired=True, resamples=1000, seed=0)
    assert permutation_test(a + 100, b, paired=True, resamples=999, seed=0) == pytest.approx(2 / 1000)


TESTS: dict[str, Callable[..., float]] = {
    "sign_test": sign_test,
    "wilcoxon_test": wilcoxon_test,
    "permutation_test": lambda a, b, **more: permutation_test(a, b, paired=True, seed=0, **more),
}


@pytest.mark.parametrize("name", TESTS)
def test_six_wins_of_six_reach_the_level_and_five_are_refused(name: str) -> None:
    test = TESTS[name]
    assert test([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0] * 6) == pytest.approx(2 / 64)
    with pytest.raises(ValueError, match=rf"{name} cannot reach the level 0.05 .* smallest p-value here is 0.0625"):
        test([1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5)
    with pytest.raises(ValueError, match=r"cannot reach the level 0.01"):
        test([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [0.0] * 6, alpha=0.01)
    assert test([1.0, 2.0, 3.0, 4.0, 5.0], [0.0] * 5, alpha=0.1) == pytest.approx(2 / 32)


@pytest.mark.parametrize("name", TESTS)
def test_equal_pairs_say_nothing(name: str) -> None:
    assert TESTS[name]([1.0] * 7, [1.0] * 7) == 1.0


def test_the_unpaired_test_refuses_three_against_three() -> None:
    with pytest.raises(ValueError, match=r"smallest p-value here is 0.1, .* 4 against 4, reach 0.05"):
        permutation_test([4.0, 5.0, 6.0], [1.0, 2.0, 3.0], paired=False, seed=0)
    assert permutation_test([5.0, 6.0, 7.0, 8.0], [1.0, 2.0, 3.0, 4.0], paired=False, seed=0) == pytest.approx(2 / 70)
    with pytest.raises(ValueError, match="allow more resamples"):
        permutation_test(draw(30, 1), draw(30, 2), paired=False, resamples=20, seed=0)


@pytest.mark.parametrize("name", TESTS)
def test_bad_input(name: str) -> None:
    with pytest.raises(ValueError, match="a has 6 and b has 5"):
        TESTS[name]([1.0] * 6, [0.0] * 5)
    with pytest.raises(ValueError, match="a must hold at least one observation"):
        TESTS[name]([], [])
