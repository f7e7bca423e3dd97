"""Holm's correction: by its definition, as scipy has Bonferroni's idea, and what it promises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstone.lab.statistics import holm

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def step_down(p: list[float], alpha: float) -> set[int]:
    """Holm's procedure as it is told: go up from the smallest, stop at the first that fails."""
    rejected: set[int] = set()
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[index] > alpha / (len(p) - place):
            break
        rejected.add(index)
    return rejected


@given(p_values, st.sampled_from([0.01, 0.05, 0.2]))
def test_it_rejects_what_the_procedure_rejects(p: list[float], alpha: float) -> None:
    margin = 1e-12
    adjusted = holm(p)
    assert {i for i, each in enumerate(adjusted) if each <= alpha + margin} >= step_down(p, alpha)
    assert {i for i, each in enumerate(adjusted) if each <= alpha - margin} <= step_down(p, alpha)


@given(p_values)
def test_it_lies_between_no_correction_and_bonferronis(p: list[float]) -> None:
    for raw, adjusted in zip(p, holm(p), strict=True):
        assert raw <= adjusted <= min(1.0, len(p) * raw)


@given(p_values)
def test_the_order_of_the_family_does_not_matter(p: list[float]) -> None:
    assert holm(p[::-1]) == holm(p)[::-1]


def test_a_textbook_family() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@pytest.mark.parametrize("p", [[], [1.2], [-0.1, 0.5]])
def test_bad_input(p: list[float]) -> None:
    with pytest.raises(ValueError, match="p_values must"):
        holm(p)
