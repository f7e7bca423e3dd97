"""How far paths are followed: loops, too many of them, too long ones; and search, which follows all of constants."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from torchstone.programs.holes import (
    Choose,
    FallbackWarning,
    Program,
    Threshold,
    TooManyPathsError,
    choose,
    flag,
    program,
)


def counting(fall: float) -> Program:
    """Goes on while a flag says so, of a number that falls by so much each time."""

    @program
    def count(x):
        steps = 0
        while flag("more", x - fall * steps):
            steps += 1
        return steps

    count.holes["more"] = Threshold()
    return count


def test_flags_are_compared_by_what_is_decided() -> None:
    @program
    def p(x):
        return x if (flag("a") == flag("b")) and flag("a") == True else 0 * x  # noqa: E712

    found = p.search([((1.0,), 1.0)])
    assert (found.combinations, found.ties) == (4, 1)


def test_search_solves_a_chain_of_bits() -> None:
    bits = [True, False, False, True, True, False]

    @program
    def chain(k):
        return [1.0 * (bool(flag(f"b{i}")) != bool(flag(f"b{i + 1}"))) for i in range(5)][int(k)]

    examples = [((i,), float(bits[i] != bits[i + 1])) for i in range(5)]
    found = chain.search(examples, batching="none")
    assert found.loss == 0
    assert all(chain(torch.tensor(i)) == target for (i,), target in examples)


def test_a_loop_that_goes_on_as_long_as_a_flag_says() -> None:
    count = counting(fall=1.0)
    fit = count.fit(
        [((x,), math.ceil(x)) for x in (0.4, 1.4, 2.4)], batching="none", max_steps=6, steps=40, restarts=1, lr=0.1
    )
    assert 0 <= fit.truncated < 0.5
    assert fit.branches == "enumerate"
    assert count(torch.tensor(1.4)) == 2


def test_a_loop_that_stops_where_a_flag_says() -> None:
    @program
    def count(x):
        steps = 0
        while not flag("stop", x - steps):
            steps += 1
        return steps

    fit = count.fit([((0.4,), 1.0), ((1.4,), 2.0)], batching="none", max_steps=6, steps=40, restarts=1, lr=0.1)
    assert fit.loss < 1e-6
    assert [int(count(torch.tensor(x))) for x in (0.4, 1.4)] == [1, 2]


def test_every_path_is_too_long() -> None:
    @program
    def p(x):
        while True:
            x = x + 1 if flag("up", x) else x - 1

    with pytest.warns(FallbackWarning), pytest.raises(TooManyPathsError, match="100 draws in a row"):
        p.fit([((1.0,), 1.0)], max_paths=8, max_steps=4, check=False)


def test_what_is_left_out_is_left_out_of_the_gradient(objective) -> None:
    count = counting(fall=1.0)
    loss = objective(count, [((1.3,), 3.0)], max_steps=4)([0])
    loss.backward()

    bias = torch.zeros((), requires_grad=True)
    more = torch.sigmoid(1.3 - torch.arange(4) + bias)
    p = torch.cat([torch.ones(1), more[:3].cumprod(0)]) * (1 - more)
    expected = (p * (torch.arange(4) - 3.0) ** 2).sum() / p.sum()
    expected.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(count.holes["more"].bias.grad, bias.grad)


@pytest.mark.parametrize(("branches", "tolerance"), [("enumerate", 1e-6), ("sample", 0.05)])
def test_what_is_left_out_is_reported(branches: str, tolerance: float, objective) -> None:
    count = counting(fall=0.0)
    half = objective(count, [((0.0,), 0.0)], branches, max_steps=3, samples=1000)
    assert half.truncated() == pytest.approx(1 / 8, abs=tolerance)


def test_a_start_whose_loop_does_not_end_is_on_record() -> None:
    count = counting(fall=0.0)
    fit = count.fit([((1.0,), 5.0)], batching="none", max_steps=3, steps=3, restarts=1)
    assert fit.restarts[0].hardened == math.inf


def test_any_example_may_have_too_many_paths() -> None:
    @program
    def p(xs):
        return sum(1.0 for x in xs if flag("up", x)) + 0 * xs[0]

    p.holes["up"] = Threshold()
    with pytest.warns(FallbackWarning, match="more than max_paths=4"):
        fit = p.fit([(([1.0],), 1.0), (([1.0] * 3,), 3.0)], batching="none", max_paths=4, steps=1, restarts=1)
    assert fit.branches == "sample"


def test_too_many_paths_are_drawn_instead() -> None:
    @program
    def p(x):
        return x + sum(1.0 for i in range(4) if flag("up", x + i))

    p.holes["up"] = Threshold()
    with pytest.warns(FallbackWarning, match="more than max_paths=8 paths") as caught:
        fit = p.fit([((0.5,), 2.5)], max_paths=8, steps=2, restarts=1)
    assert [warning.filename for warning in caught] == [__file__]
    assert fit.branches == "sample"


def test_where_only_constants_are_open_the_warning_names_search() -> None:
    @program
    def p(x):
        return x + sum(1.0 for i in range(4) if flag(f"bit {i}"))

    with pytest.warns(FallbackWarning, match=r"search\(examples\) tries all of them"):
        p.fit([((0.5,), 2.5)], max_paths=8, steps=2, restarts=1)
    assert p.search([((0.5,), 2.5)]).combinations == 16


def test_a_loop_that_never_ends_is_named(objective) -> None:
    @program
    def p(x):
        while flag("more", x):
            x = x + 1
        return x

    p.holes["more"] = Threshold()
    with torch.no_grad():
        p.holes["more"].bias.fill_(1e4)
    with pytest.raises(TooManyPathsError, match="does the program ever leave its `while`"):
        objective(p, [((1.0,), 1.0)], "sample", max_steps=3)([0])


@pytest.mark.parametrize("use", [Program.fit, Program.search, Program.harden, lambda p, _: p(torch.tensor(1.0))])
def test_a_loop_on_a_flag_that_is_decided_once_is_named(use: Callable[..., Any]) -> None:
    @program
    def p(x):
        while not flag("stop"):
            x = x + 1
        return x

    p.holes["stop"] = Choose({"False": torch.sin, "True": torch.cos})
    with pytest.raises(RuntimeError, match="decided once for the whole run"):
        use(p, [((1.0,), 1.0)])


def test_a_flag_may_be_asked_as_often_as_one_likes_above_the_loop() -> None:
    @program
    def p(x):
        up = flag("up")
        return x + sum(1 if up else -1 for _ in range(150_000))

    p.holes["up"] = Choose({"False": torch.sin, "True": torch.cos})
    assert p(torch.tensor(0.0)) == -150_000


def test_search_joins_what_each_example_tells_of_a_few_constants() -> None:
    bits = [True, False, False, True, True, False]

    @program
    def chain(k):
        return 1.0 * (bool(flag(f"b{int(k)}")) != bool(flag(f"b{int(k) + 1}")))

    examples = [((i,), float(bits[i] != bits[i + 1])) for i in range(5)]
    found = chain.search(examples, batching="none")
    assert (found.combinations, found.ties) == (64, 2)  # the bits, or all of them turned
    assert all(chain(torch.tensor(i)) == target for (i,), target in examples)


def test_search_says_how_many_are_too_many() -> None:
    @program
    def p(x):
        return sum(1.0 for i in range(5) if flag(f"b{i}")) + 0 * x

    with pytest.raises(ValueError, match="more than most=31 combinations"):
        p.search([((1.0,), 5.0)], most=31)
    assert p.search([((1.0,), 5.0)], most=32).combinations == 32


def test_a_combination_of_no_number_is_not_the_best() -> None:
    @program
    def p(x):
        return x * choose("factor", among=[math.nan, 1.0, 2.0])

    assert p.search([((1.0,), 2.0)]).loss == 0
    assert p(3.0) == 6
