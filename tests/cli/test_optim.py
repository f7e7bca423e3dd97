import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
SHORT = ("--steps", "30", "--lr", "0.01")


def test_a_race_is_drawn_in_every_format_asked_for(torchstone: Command) -> None:
    answer = torchstone("optim", "race", "--rules", "sgd,adam", *SHORT, "--out", "a.html", "b.png", "c/d.svg")
    assert (answer.code, answer.errors) == (0, "")
    for name in ("a.html", "b.png", "c/d.svg"):
        assert Path(name).stat().st_size > 10_000
        assert f"Written: {name}" in answer.output
    assert re.search(r"sgd +0\.01 +\d", answer.output)


def test_files_may_follow_one_out_or_several(torchstone: Command) -> None:
    outs = ("--out", "a.svg", "--rules", "sgd", "--out", "b.html", "c.PNG", "--out", "a.svg")
    answer = torchstone("optim", "race", *SHORT, *outs)
    assert [line for line in answer.output.splitlines() if "Written" in line] == [
        f"Written: {name}" for name in ("a.svg", "b.html", "c.PNG")
    ]
    assert Path("c.PNG").read_bytes().startswith(b"\x89PNG")
    assert not Path("race.gif").exists()


def test_the_issue_s_own_command(torchstone: Command) -> None:
    rules = "sgd,momentum,adam,amsgrad,adamnc"
    answer = torchstone("optim", "race", "--surface", "beale", "--rules", rules, "--steps", "20", "--out", "race.gif")
    assert answer.code == 0
    assert Path("race.gif").read_bytes().startswith(b"GIF89a")
    assert "best of 25 rates from 0.0001 to 10 after 100 steps" in " ".join(answer.output.split())
    assert all(re.search(rf"{rule} +0\.\d+", answer.output) for rule in rules.split(","))


def test_the_table_says_how_soon_and_what_else(torchstone: Command) -> None:
    bowl = torchstone("optim", "race", "--surface", "quadratic-10", "--rules", "sgd", *SHORT, "--out", "a.svg")
    assert "Steps to within 0.001" in bowl.output
    assert "never" in bowl.output
    saddle = torchstone("optim", "race", "--surface", "saddle", "--rules", "sgd", "--lr", "0.3", "--out", "a.svg")
    assert "escaped at step 17" in saddle.output
    assert "Steps to within" not in saddle.output


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("--surface", "bealle"), "Did you mean beale?"),
        (("--surface", "quadratic-x"), "after quadratic- comes a number of at least 1"),
        (("--surface", "quadratic-0.5"), "after quadratic- comes a number of at least 1"),
        (("--rules", "sgd,adm"), "Did you mean 'adam'?"),
        (("--rules", "sgd,sgd"), "each once"),
        (("--rules", "SGD"), "Did you mean 'sgd'?"),
        (("--seed", "99999999999999999999"), "seed must be"),
        (("--out",), "--out needs a file"),
        (("--steps", "0"), "steps must be"),
        (("--lr", "-1"), "must be a positive, finite number"),
        (("--lr", "nan"), "must be a positive, finite number"),
        (("--within", "0"), "--within must be positive"),
        (("--out", "race.mp4"), "must end in .gif, .html, .png or .svg"),
        (("--out", "folder.gif"), "is a folder"),
        (("--out", "file/race.gif"), "cannot be made"),
        (("--out", "/proc/race.gif"), "cannot be written"),
    ],
)
def test_what_a_user_can_mend(torchstone: Command, words: tuple[str, ...], error: str) -> None:
    Path("folder.gif").mkdir()
    Path("file").touch()
    answer = torchstone("optim", "race", *words)
    assert answer.code == 2
    assert error in answer.errors
    assert not Path("race.gif").exists()


def test_a_place_is_refused_before_anything_is_computed(torchstone: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torchstone.optim.race", lambda *_, **__: pytest.fail("it was computed"))
    assert torchstone("optim", "race", "--out", "fine.gif", "race.mp4").code == 2
