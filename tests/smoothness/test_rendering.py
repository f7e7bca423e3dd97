"""The text of a report: one paragraph for what happened in one place, and the line with the operation underlined."""

import math
from pathlib import Path

import pytest

from torchstone.smoothness import Finding, NotDifferentiableError, Order, Report
from torchstone.smoothness.rendering import blocks


def cut(parameter: str | None, **changes: object) -> Finding:
    here = {"op": "detach", "file": str(Path.cwd() / "src" / "model.py"), "line": 57, "source": "h = z.detach_()"}
    about = {"code": "GRAD-CUT", "severity": "error", "message": f"parameter '{parameter}' gets no gradient"}
    return Finding(**here | about | {"parameter": parameter, "hint": "leave it out"} | changes)  # type: ignore[arg-type]


def report(*findings: Finding) -> Report:
    return Report(order=Order(0), shape_class="general", lipschitz=math.inf, live=("a",), findings=findings)


def test_a_finding_reads_as_in_a_compiler() -> None:
    assert (
        str(cut("w", path=("w", "linear (41)", "detach (57)", "result")))
        == """\
error[GRAD-CUT]: parameter 'w' gets no gradient
  --> src/model.py:57
   |
57 |     h = z.detach_()
   |           ^^^^^^^
   = path: w -> linear (41) -> detach (57) -> result
   = hint: leave it out"""
    )


def test_parameters_that_end_in_one_place_share_a_paragraph() -> None:
    names = [f"w{i}" for i in range(12)]
    (text,) = blocks(map(cut, names))
    assert "   = also: w1, w2, w3, w4, w5, w6, w7, w8 and 3 more\n" in text
    assert len(blocks([cut("a"), cut("b", line=58), cut("c", code="GRAD-ZERO"), cut("d")])) == 3
    assert str(report(*map(cut, names))).endswith("\n1 error")


def test_what_is_of_no_parameter_is_told_apart_by_its_message() -> None:
    first, second = (cut(None, message=message) for message in ("one thing", "another"))
    assert len(blocks([first, second, first])) == 2


def test_long_paths_are_shortened_and_files_elsewhere_are_named_in_full() -> None:
    text = str(cut("w", path=tuple(map(str, range(20))), file="/elsewhere/a.py"))
    assert "= path: 0 -> 1 -> 2 -> (12 more) -> 15 -> 16 -> 17 -> 18 -> 19" in text
    assert "--> /elsewhere/a.py:57" in text


@pytest.mark.parametrize(("changes", "lines"), [({"source": ""}, 3), ({"file": "", "line": 0}, 2), ({"op": "add"}, 6)])
def test_what_is_not_known_is_left_out(changes: dict[str, object], lines: int) -> None:
    text = str(cut("w", **changes))
    assert len(text.splitlines()) == lines
    assert "^" not in text


def test_an_error_that_is_raised_reads_the_same() -> None:
    with pytest.raises(NotDifferentiableError) as error:
        report(cut("a"), cut("b")).raise_if("error")
    assert str(error.value) == blocks([cut("a"), cut("b")])[0]
