import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstone.lab import Check, Estimate, Status
from torchstone.lab.wording import MARKS, MEANINGS, duration, measured, number, primary_first, status_words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.000"),
        (1, "1.000"),
        (-0.5, "−0.500"),
        (99.9994, "99.999"),
        (1234.6, "1,235"),
        (3e-5, "0.0000300"),
        (-1e-7, "−1.00e-07"),
        (1.5e7, "1.50e+07"),
    ],
)
def test_numbers_have_three_figures(value: float, text: str) -> None:
    assert number(value) == text


def test_what_is_no_number_is_named() -> None:
    assert [number(value) for value in (math.nan, math.inf, -math.inf)] == ["NaN", "∞", "−∞"]


@given(st.floats(-1e300, 1e300))
def test_a_number_is_read_back_to_three_figures(value: float) -> None:
    assert float(number(value).replace("−", "-").replace(",", "")) == pytest.approx(value, rel=0.0051, abs=0)


def test_a_value_and_its_interval_have_the_same_decimals() -> None:
    assert measured(Estimate(-0.000953, -0.00411, 0.0022)) == "−0.00095 [−0.00411, 0.00220]"
    assert measured(Estimate(0.00012, -0.5, 0.5)) == "0.000 [−0.500, 0.500]"
    assert measured(Estimate(math.nan, -math.inf, 120.4)) == "NaN [−∞, 120]"


@given(st.floats(0, 1e6))
def test_a_duration_never_shows_sixty_of_a_unit(seconds: float) -> None:
    assert "60" not in duration(seconds).split()[2:]
    assert duration(seconds) not in ("60 s", "10.0 s")


def test_each_status_has_a_mark_and_a_meaning_of_its_own() -> None:
    assert set(MARKS) == set(MEANINGS) == set(Status)
    assert len(set(MARKS.values())) == len(Status)
    assert status_words(Status.ABSENT) == "○ absent"


def test_deciding_checks_come_first_in_their_own_order() -> None:
    point = Estimate(0.0, 0.0, 0.0)
    checks = [
        Check.report("a", point),
        Check.at_least("b", point, 1, zone=0.1),
        Check.report("c", point),
        Check.at_least("d", point, 1, zone=0.1),
    ]
    assert [check.name for check in primary_first(checks)] == ["b", "d", "a", "c"]
