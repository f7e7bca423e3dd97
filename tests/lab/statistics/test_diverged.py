"""The stated rule for diverged trials: they count as the worst, and never better than any that did not diverge."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstone.lab.statistics import paired_difference, worst_for_diverged

any_float = st.floats(-10, 10) | st.sampled_from([math.nan, math.inf, -math.inf])
arm = st.lists(any_float, min_size=1, max_size=5)


@given(arm, arm, st.booleans(), st.none() | st.floats(-10, 10))
def test_what_diverged_is_no_better_than_anything_that_did_not(
    ours: list[float], theirs: list[float], higher_is_better: bool, worst: float | None
) -> None:
    before = {"ours": ours, "theirs": theirs}
    after = worst_for_diverged(before, higher_is_better=higher_is_better, worst=worst)
    finite = [each for each in ours + theirs if math.isfinite(each)] + ([] if worst is None else [worst])
    bound = (min if higher_is_better else max)(finite, default=math.nan)
    for name, values in before.items():
        lost = worst is None and not any(map(math.isfinite, values))
        for old, new in zip(values, after[name], strict=True):
            expected = old if math.isfinite(old) else math.nan if lost else bound
            assert new == expected or (math.isnan(new) and math.isnan(expected))


def test_an_arm_of_which_nothing_is_left_decides_nothing() -> None:
    arms = worst_for_diverged({"ours": [0.9, 0.9], "theirs": [math.nan, math.inf]})
    assert math.isnan(paired_difference(arms["ours"], arms["theirs"]).low)
    told = worst_for_diverged({"ours": [0.9, 0.9], "theirs": [math.nan, math.inf]}, worst=0.1)
    assert told["theirs"] == [0.1, 0.1]


def test_it_can_only_hurt_its_arm() -> None:
    """A diverged trial never makes its arm look better than any finite result in its place would."""
    ours, theirs = [0.9, math.nan, 0.8], [0.7, 0.6, 0.75]
    arms = worst_for_diverged({"ours": ours, "theirs": theirs})
    least = paired_difference(arms["ours"], arms["theirs"]).value
    for instead in (0.6, 0.7, 0.9):
        assert least <= paired_difference([0.9, instead, 0.8], theirs).value


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="worst must be a finite result"):
        worst_for_diverged({"ours": [0.1]}, worst=math.nan)
    with pytest.raises(ValueError, match="ours must be one number per unit"):
        worst_for_diverged({"ours": [[0.1]]})
