from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]
HOLDS = ("run", "toy-holds", "--jobs", "0")


def test_a_run_ends_with_checks_one_verdict_line_and_where_the_report_lies(torchstone: Command) -> None:
    answer = torchstone(*HOLDS)
    assert answer.code == 0
    lines = [line.strip() for line in answer.output.splitlines()]
    assert "✓ CONFIRMED  It is." in lines
    assert lines[-1] == "Report: torchstone-runs/reports/toy-holds-laptop.html"
    assert Path(lines[-1].removeprefix("Report: ")).is_file()
    deciding = next(line for line in lines if "one half" in line)
    reported = next(line for line in lines if "infinite [x]" in line)
    assert " ".join(deciding.split()) == "* one half 0.500 [0.450, 0.550] ≥ 0.333 0.500 ✓ confirmed"
    assert " ".join(reported.split()) == "infinite [x] NaN [−∞, ∞] – – reported only"
    assert lines.index(deciding) < lines.index(reported)


def test_progress_goes_to_stderr_as_plain_lines_where_there_is_no_terminal(torchstone: Command) -> None:
    errors = torchstone(*HOLDS).errors
    assert "[1/3] half, seed 0: started\n" in errors
    assert "[3/3] half, seed 2: finished\n" in errors
    assert "\x1b" not in errors


def test_trials_on_record_are_not_run_again(torchstone: Command) -> None:
    torchstone(*HOLDS)
    again = torchstone(*HOLDS)
    assert again.code == 0
    assert again.errors.count("already on record") == 3
    assert "started" not in again.errors


def test_json_is_strict_and_alone_on_stdout(torchstone: Command) -> None:
    answer = torchstone(*HOLDS, "--json", "--seed", "2").json
    assert answer["claim"] == "toy-holds"
    assert (answer["scale"], answer["seed"], answer["trials"]) == ("laptop", 2, 3)
    assert Path(answer["report"]).is_file()
    assert answer["report"].endswith("toy-holds-laptop-seed2.html")
    deciding, reported = answer["verdict"]["checks"]
    assert answer["verdict"]["status"] == deciding["status"] == "confirmed"
    assert (deciding["value"], deciding["low"], deciding["high"], deciding["reported"]) == (0.5, 0.45, 0.55, 0.5)
    assert (reported["value"], reported["low"], reported["high"], reported["status"]) == (None, None, None, None)


def test_smoke_has_no_verdict_and_says_so(torchstone: Command) -> None:
    assert torchstone(*HOLDS, "--scale", "smoke", "--json").json["verdict"] is None
    answer = torchstone(*HOLDS, "--scale", "smoke")
    assert answer.code == 0
    assert "too small to be judged" in answer.output
    assert "CONFIRMED" not in answer.output


def test_processes_give_the_same_answer(torchstone: Command) -> None:
    apart = torchstone("run", "toy-holds", "--jobs", "1", "--json", "--out", "apart").json
    here = torchstone(*HOLDS, "--json").json
    assert apart["verdict"] == here["verdict"]


def test_a_failed_trial_is_told_and_the_exit_code_is_1(torchstone: Command) -> None:
    answer = torchstone("run", "toy-fails", "--jobs", "0")
    assert answer.code == 1
    assert answer.output == ""
    assert "[2/3] half, seed 1: failed: ArithmeticError: the sand ran out\n" in answer.errors
    assert "1 of 3 trials of 'toy-fails' failed" in answer.errors


def drop_the_pen(records: object) -> None:
    raise ArithmeticError("the pen is dry")


def test_figures_that_fail_hide_no_verdict(torchstone: Command, toys: dict[str, Any]) -> None:
    toys["toy-holds"].figures = drop_the_pen
    answer = torchstone(*HOLDS)
    assert answer.code == 1
    assert answer.output.rstrip().endswith("✓ CONFIRMED  It is.")
    assert answer.errors.splitlines()[-1] == (
        "torchstone: The report could not be drawn (ArithmeticError: the pen is dry); the trials are on record in "
        "torchstone-runs."
    )
    answer = torchstone(*HOLDS, "--json")
    assert answer.code == 1
    assert (answer.json["verdict"]["status"], answer.json["report"]) == ("confirmed", None)
    del toys["toy-holds"].figures
    again = torchstone(*HOLDS)
    assert (again.code, again.errors.count("already on record")) == (0, 3)


@pytest.mark.parametrize(
    ("trials", "complaint"),
    [
        ([], "torchstone: The study 'toy-holds' has no trials at the scale 'laptop'.\n"),
        ([3], "torchstone: trials() of 'toy-holds' must give Trial objects, but one is 3.\n"),
    ],
)
def test_a_fault_of_the_study_is_no_option(
    torchstone: Command, toys: dict[str, Any], trials: list[Any], complaint: str
) -> None:
    toys["toy-holds"].trials = lambda scale: trials
    answer = torchstone(*HOLDS)
    assert (answer.code, answer.errors) == (2, complaint)


def test_after_an_interrupt_the_same_command_goes_on(torchstone: Command, toys: dict[str, Any]) -> None:
    answer = torchstone("run", "toy-interrupted", "--jobs", "0")
    assert answer.code == 130
    assert answer.errors.endswith("\nStopped: 2 of 3 trials are on record. The same command goes on from there.\n")
    assert torchstone("run", "toy-interrupted", "--jobs", "0").errors.count("already on record") == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--jobs", "-1"), "--jobs must be 0"),
        (("--seed", "-1"), "--seed must be"),
        (("--scale", "paper"), "--scale must be one of smoke, laptop"),
        (("--out", "taken/runs"), "--out taken/runs cannot be made: Not a directory."),
        (("--device", "abacus"), "--device must be one that this machine has, such as 'cpu', but it is 'abacus'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(torchstone: Command, words: tuple[str, str], complaint: str) -> None:
    Path("taken").touch()
    answer = torchstone("run", "toy-holds", *words)
    assert answer.code == 2
    assert answer.output == ""
    assert answer.errors.startswith(f"torchstone: {complaint}")
    assert answer.errors.count("\n") == 1
    assert not Path("torchstone-runs/store.sqlite").exists()


@pytest.mark.parametrize("words", [("--jobs", "many"), ("--scale", "big"), ("--seed", "x"), ("--sede", "1")])
def test_what_cannot_be_read_is_bad_usage(torchstone: Command, words: tuple[str, str]) -> None:
    answer = torchstone("run", "toy-holds", *words)
    assert answer.code == 2
    assert "Traceback" not in answer.errors + answer.output
    assert words[1 if words[0] != "--sede" else 0] in answer.errors + answer.output


def test_a_damaged_store_is_told_in_words(torchstone: Command) -> None:
    Path("torchstone-runs").mkdir()
    Path("torchstone-runs/store.sqlite").write_bytes(b"this is no database" * 100)
    for words in (HOLDS, ("list",), ("show", "toy-holds")):
        answer = torchstone(*words)
        assert answer.code == 2
        assert "is damaged" in answer.errors


@pytest.mark.parametrize(
    ("name", "offer"),
    [("toy-hold", "'toy-holds'"), ("ctrl-c", "  toy-interrupted: Nobody will press Ctrl-C."), ("fails", "'toy-fails'")],
)
def test_an_unknown_claim_is_answered_with_those_that_may_be_meant(torchstone: Command, name: str, offer: str) -> None:
    for command in ("run", "show"):
        answer = torchstone(command, name)
        assert answer.code == 2
        assert f"There is no claim named '{name}'" in answer.errors
        assert offer in answer.errors
        assert "torchstone list" in answer.errors


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--address", "10.0.0.1:6379"), "--address is for a Ray cluster: add --engine ray."),
        (("--gpus-per-trial", "0.5"), "--gpus-per-trial is for a Ray cluster: add --engine ray."),
        (("--engine", "ray", "--cpus-per-trial", "0"), "--cpus-per-trial must be a whole number of cores, 1 or more"),
        (("--engine", "ray", "--jobs", "0"), "--jobs 0 runs trials in this process: leave --engine ray out."),
        (("--engine", "ray", "--address", "ray://x:1"), "--address must be that of the cluster itself"),
        (("--engine", "ray", "--device", "abacus"), "--device must be 'cpu' or 'cuda' on a cluster"),
    ],
)
def test_what_a_cluster_cannot_is_refused_in_one_sentence(
    torchstone: Command, words: tuple[str, ...], complaint: str
) -> None:
    answer = torchstone("run", "toy-holds", *words)
    assert (answer.code, answer.output) == (2, "")
    assert answer.errors.startswith(f"torchstone: {complaint}")
    assert answer.errors.count("\n") == 1


def test_a_cluster_that_is_not_there_is_told_in_words(torchstone: Command) -> None:
    answer = torchstone("run", "toy-holds", "--engine", "ray", "--address", "127.0.0.1:1")
    assert (answer.code, answer.output) == (2, "")
    assert "Ray" in answer.errors  # not installed, or no cluster
