import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchstone.lab.search import categorical, describe, integer, linear, log, space_of
from torchstone.lab.search.ranges import Categorical, Integer, Linear, Log, Range

SPANS = [
    Linear(-0.2, 2.0),
    Linear(-1e308, 1e308),
    Log(1e-300, 1e300),
    Log(1e-4, 1e-1),
    Integer(-3, 7),
    Integer(1, 1000, log=True),
    Categorical(("adam", 1, 1.0, True, None)),
]


@dataclass(frozen=True)
class Recipe:
    lr: float = log(1e-4, 1e-1)
    momentum: float = linear(0.0, 1.0, default=0.9)
    width: int = integer(8, 64, log=True)
    kind: str = categorical("adam", "sgd")
    steps: int = 100


@pytest.mark.parametrize("span", SPANS, ids=str)
@given(u=st.floats(0, 1))
def test_every_point_of_the_unit_interval_gives_a_value_of_the_range(span: Range, u: float) -> None:
    assert span.holds(span.at(u))


@pytest.mark.parametrize("span", SPANS, ids=str)
def test_a_range_reaches_both_ends(span: Range) -> None:
    low, high = (span.choices[0], span.choices[-1]) if isinstance(span, Categorical) else (span.low, span.high)
    assert span.at(0.0) == pytest.approx(low)
    assert span.at(1.0) == pytest.approx(high)


def test_each_scale_has_its_own_middle() -> None:
    assert Linear(1, 100).at(0.5) == pytest.approx(50.5)
    assert Log(1, 100).at(0.5) == pytest.approx(10)


@pytest.mark.parametrize(("span", "n"), [(Integer(-3, 6), 10), (Categorical(("a", "b", "c", "d", None)), 5)])
def test_whole_numbers_and_choices_share_the_interval_equally(span: Range, n: int) -> None:
    values = [span.at((i + 0.5) / 1000) for i in range(1000)]
    assert {value: values.count(value) for value in values} == dict.fromkeys(values, 1000 // n)
    assert len(set(values)) == n


def test_a_logarithmic_whole_number_owns_the_logarithm_from_itself_to_the_next() -> None:
    values = [Integer(1, 7, log=True).at((i + 0.5) / 3000) for i in range(3000)]
    for n in range(1, 8):
        assert values.count(n) == pytest.approx(3000 * math.log((n + 1) / n) / math.log(8), abs=1)


def test_a_recipe_is_an_ordinary_dataclass_with_defaults_in_its_ranges() -> None:
    assert Recipe().momentum == 0.9
    assert Recipe().kind == "adam"
    assert all(span.holds(getattr(Recipe(), name)) for name, span in space_of(Recipe).items())
    assert list(space_of(Recipe)) == ["lr", "momentum", "width", "kind"]


def test_the_description_holds_what_is_searched_and_what_is_fixed() -> None:
    assert describe(Recipe) == {
        "lr": {"range": "log", "low": 1e-4, "high": 1e-1},
        "momentum": {"range": "linear", "low": 0.0, "high": 1.0},
        "width": {"range": "integer", "low": 8, "high": 64, "log": True},
        "kind": {"range": "categorical", "choices": ("adam", "sgd")},
        "steps": {"range": "fixed", "value": 100},
    }


def test_a_field_may_be_called_anything() -> None:
    @dataclass(frozen=True)
    class Named:
        fixed: float = log(1e-4, 1e-1)
        range: int = 3

    assert describe(Named) == {
        "fixed": {"range": "log", "low": 1e-4, "high": 1e-1},
        "range": {"range": "fixed", "value": 3},
    }


@pytest.mark.parametrize("choice", Categorical(("adam", 1, 1.0, True, None)).choices, ids=repr)
def test_a_choice_is_coded_by_its_place_even_where_python_takes_two_for_one(choice: object) -> None:
    span = Categorical(("adam", 1, 1.0, True, None))
    place = int(span.code(choice))
    assert span.choices[place] is choice


@pytest.mark.parametrize("make", [linear, log, integer])
@pytest.mark.parametrize("bounds", [(2, 1), (1, 1), (1, math.nan), (1, math.inf), ("1", 2), (True, 2), (None, 2)])
def test_bounds_that_are_no_range_are_refused(make: object, bounds: tuple[object, object]) -> None:
    with pytest.raises(ValueError, match="needs two finite numbers, the lower first, but it has"):
        make(*bounds)


def test_other_fields_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="above 0, but the lower one is 0"):
        log(0, 1)
    with pytest.raises(ValueError, match=r"log=True.*-1"):
        integer(-1, 5, log=True)
    with pytest.raises(ValueError, match=r"one is 2\.5"):
        integer(1, 2.5)
    with pytest.raises(ValueError, match="2\\*\\*53"):
        integer(1, 2**60)
    with pytest.raises(ValueError, match="default must lie in"):
        linear(0, 1, default=2)
    with pytest.raises(ValueError, match="default must lie in"):
        integer(0, 4, default=True)


@pytest.mark.parametrize("choices", [(), ("one",), ("a", "a"), (1.0, math.nan), ([1], [2])])
def test_choices_that_are_none_are_refused(choices: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match="categorical needs"):
        categorical(*choices)


def test_a_recipe_that_is_no_space_is_refused() -> None:
    @dataclass
    class Thawed:
        lr: float = log(1e-4, 1e-1)

    @dataclass(frozen=True)
    class Empty:
        lr: float = 0.1

    @dataclass(frozen=True)
    class Halved:
        steps: int
        lr: float = log(1e-4, 1e-1)

    for wrong in (Thawed, Recipe(), int):
        with pytest.raises(TypeError, match="frozen=True"):
            space_of(wrong)
    with pytest.raises(ValueError, match="Empty has nothing to search"):
        space_of(Empty)
    with pytest.raises(ValueError, match=r"Every field of Halved needs a range or a default.*steps"):
        space_of(Halved)
