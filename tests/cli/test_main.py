import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

import torchstone as package
from torchstone.cli.main import BROKEN_PIPE, COMMANDS, main

Command = Callable[..., Any]


def test_help_names_every_command(torchstone: Command) -> None:
    for words in ((), ("--help",)):
        answer = torchstone(*words)
        assert answer.code == 0
        assert all(name in answer.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_its_options(torchstone: Command, name: str) -> None:
    answer = torchstone(name, "--help")
    assert answer.code == 0
    assert f"usage: torchstone {name}" in answer.output


def test_version(torchstone: Command) -> None:
    assert torchstone("--version").output == f"torchstone {package.__version__}\n"


def test_an_unknown_command_is_bad_usage(torchstone: Command) -> None:
    answer = torchstone("runn")
    assert answer.code == 2
    assert "list" in answer.errors + answer.output


def test_an_interrupt_anywhere_is_one_line(torchstone: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("torchstone.lab.catalogue"), "discover", interrupted)
    answer = torchstone("list")
    assert (answer.code, answer.errors) == (130, "Interrupted.\n")


def test_help_is_quick_since_torch_stays_asleep() -> None:
    program = (
        "import sys\nfrom torchstone.cli.main import main\n"
        "try: main(['run', '--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'numpy', 'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[-1] == "[]"


def test_a_reader_who_goes_away_is_no_error() -> None:
    program = "import sys; from torchstone.cli.main import main; sys.stdin.read(); sys.exit(main(['--version']))"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, errors = process.communicate("")
    assert errors == ""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_who_goes_away_from_either_stream_is_no_failed_trial(stream: str) -> None:
    program = (
        "import sys; from torchstone.cli import main; from torchstone.cli.common import screen; sys.stdin.read()\n"
        f"main._run = lambda words: screen(errors={stream == 'stderr'}).print('words')\n"
        "sys.exit(main.main([]))"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], text=True, **pipes) as process:
        getattr(process, stream).close()
        setattr(process, stream, None)
        assert process.communicate("") in (("", None), (None, ""))
    assert process.returncode == BROKEN_PIPE


def test_main_reads_the_command_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["torchstone", "--version"])
    assert main() == 0
    assert capsys.readouterr().out.startswith("torchstone ")
