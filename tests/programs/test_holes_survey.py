"""What is found before training: holes that are not reached or not told apart, programs that cannot be replayed."""

import math

import numpy as np
import pytest
import torch

from torchstone.programs.holes import (
    MLP,
    ConfoundedWarning,
    NotRepeatableError,
    Poly,
    Program,
    UnreachedError,
    flag,
    hole,
    program,
)
from torchstone.smoothness import NotDifferentiableError

PAIRS = [((x,), x) for x in (0.1, 0.4, 0.7, 1.1)]


def test_two_holes_in_series_are_confounded() -> None:
    @program
    def p(x):
        return hole("g", hole("f", x))

    with pytest.warns(ConfoundedWarning, match="holes 'f' and 'g' are confounded: 0 of 3 directions") as caught:
        fit = p.fit(PAIRS, steps=0, restarts=1, check=False)
    assert [warning.filename for warning in caught] == [__file__]
    assert fit.told == {"f": (0, 3), "g": (0, 3)}


def test_a_constant_may_move_between_two_holes() -> None:
    @program
    def p(x, y):
        return hole("f", x) + hole("g", y)

    g = torch.Generator().manual_seed(0)
    fit = p.fit([((x, y), x + y) for x, y in torch.rand(8, 2, generator=g)], steps=0, restarts=1, check=False)
    assert fit.told == {"f": (2, 3), "g": (2, 3)}


def test_a_hole_of_no_effect_is_named() -> None:
    @program
    def p(x):
        return x + 0 * hole("f", x)

    with pytest.warns(ConfoundedWarning, match="hole 'f' changes nothing"):
        p.fit(PAIRS, steps=0, restarts=1, check=False)


def test_a_hole_whose_value_is_thrown_away_is_named() -> None:
    @program
    def p(x):
        hole("f", x)
        return x

    with (
        pytest.warns(ConfoundedWarning, match="hole 'f' changes nothing"),
        pytest.raises(ValueError, match="depends on no hole"),
    ):
        p.fit(PAIRS, steps=0, restarts=1, check=False)


@pytest.mark.parametrize("branches", ["mix", "sample"])
def test_confounded_holes_are_named_whatever_branches_mean(branches: str) -> None:
    @program
    def p(x):
        return hole("g", hole("f", x))

    with pytest.warns(ConfoundedWarning, match="holes 'f' and 'g' are confounded"):
        p.fit(PAIRS, branches=branches, steps=0, restarts=1, check=False)


def test_many_outputs_tell_as_much_as_their_mixtures() -> None:
    @program
    def p(x, y):
        return hole("f", x) + hole("g", y)

    x, y = torch.rand(2, 100, generator=torch.Generator().manual_seed(0))
    fit = p.fit([((x, y), x + y)], steps=0, restarts=1, check=False)
    assert fit.told == {"f": (2, 3), "g": (2, 3)}


@pytest.mark.parametrize("batching", ["vmap", "none"])
def test_what_is_typed_at_the_prompt_has_no_source_and_is_learned(batching: str) -> None:
    scope = {"flag": flag, "hole": hole}
    exec("def f(x): return hole('high', x) if flag('late', x) else hole('low', x)", scope)
    for examples in (PAIRS, PAIRS[:1]):
        p = program(scope["f"])
        p.fit(examples, steps=1, restarts=1, check=False, batching=batching)
        assert set(p.holes) == {"late", "high", "low"}


def test_an_unreached_hole_among_averages_is_named() -> None:
    @program
    def p(x):
        return hole("large", x) if x > 5 else hole("small", x)

    with pytest.raises(UnreachedError, match=r"'large' \(line \d+, below `if x > 5`\)"):
        p.fit(PAIRS, branches="mix", batching="none")


def test_the_other_branch_of_a_condition_is_named() -> None:
    @program
    def p(x):
        return hole("small", x) if x < 5 else hole("large", x)

    with pytest.raises(UnreachedError, match=r"'large' \(line \d+, below `else of if x < 5`\)"):
        p.fit(PAIRS, batching="none")


def test_a_hole_that_no_example_reaches_is_named_with_its_condition() -> None:
    @program
    def p(x):
        if x > 5:
            return hole("large", x)
        return hole("small", x)

    with pytest.raises(UnreachedError, match=r"No example reaches 'large' \(line \d+, below `if x > 5`\)"):
        p.fit(PAIRS, batching="none")


def test_a_body_for_no_hole_is_named() -> None:
    @program
    def p(x):
        return hole("f", x)

    p.holes["g"] = Poly(1)
    with pytest.raises(UnreachedError, match="'g'"):
        p.fit(PAIRS)


def test_holes_on_any_path_get_a_body() -> None:
    @program
    def p(x):
        return hole("low", x) if flag("which", x) else hole("high", x)

    p.fit(PAIRS, steps=0, restarts=1)
    assert sorted(p.holes) == ["high", "low", "which"]


def counting() -> Program:
    calls = []

    @program
    def p(x):
        calls.append(1)
        return hole("f", x) * len(calls)

    return p


def drawing() -> Program:
    g = torch.Generator().manual_seed(0)

    @program
    def p(x):
        return hole("f", x) * torch.rand((), generator=g)

    return p


@pytest.mark.parametrize("make", [counting, drawing])
@pytest.mark.parametrize("body", [MLP(4), Poly(1)])
def test_what_cannot_be_replayed_is_refused(make, body: MLP | Poly) -> None:
    p = make()
    p.holes["f"] = body
    with pytest.raises(NotRepeatableError, match="it differs in what it returns"):
        p.fit(PAIRS)


def test_a_program_that_changes_its_arguments_is_refused_and_does_no_harm() -> None:
    @program
    def p(x):
        x += 1
        return hole("f", x)

    p.holes["f"] = Poly(1)
    x = torch.zeros(2)
    with pytest.raises(NotRepeatableError, match="it changes its arguments"):
        p.fit([((x,), torch.zeros(2))])
    assert x.tolist() == [0, 0]


def test_a_list_among_the_arguments_may_not_grow() -> None:
    @program
    def p(x, notes):
        notes["seen"].append(1)
        return hole("f", x)

    notes: dict = {"seen": [], "table": np.ones(2)}
    with pytest.raises(NotRepeatableError, match="it changes its arguments"):
        p.fit([((1.0, notes), 1.0)], batching="none")
    assert notes["seen"] == []


def test_no_number_is_no_sign_of_chance() -> None:
    @program
    def p(x):
        return (hole("f", x) - 100).sqrt()

    fit = p.fit([((1.0,), 1.0)], steps=1, restarts=2)
    assert all(math.isnan(restart.loss) for restart in fit.restarts)


def test_a_cut_is_named_with_its_line() -> None:
    @program
    def p(x):
        return hole("f", x).round()

    p.holes["f"] = MLP(4)
    report = p.check(PAIRS)
    assert not report.live
    assert all(finding.code == "GRAD-ZERO" and finding.source for finding in report.blocked.values())
    with pytest.raises(NotDifferentiableError, match="round"):
        p.fit(PAIRS)


def test_a_sound_program_has_a_sound_report() -> None:
    @program
    def p(x):
        if flag("big", x):
            return hole("f", x) * 2
        return hole("f", x)

    p.holes["f"] = MLP(4)
    report = p.check(PAIRS).raise_if("warning")
    assert set(report.live) == {name for name, _ in p.holes.named_parameters()}


def test_values_that_vmap_has_not_are_named() -> None:
    @program
    def p(x):
        return hole("f", x) if x > 0.5 else x

    with pytest.raises(RuntimeError) as caught:
        p.fit(PAIRS, check=False)
    assert "batching='none'" in caught.value.__notes__[0]
