"""The command ``torchstone``. Commands are frozen dataclasses with a method ``run`` that returns the exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Protocol

from torchstone import __version__

COMMANDS = {
    "list": "torchstone.cli.listing:List",
    "run": "torchstone.cli.run:Run",
    "show": "torchstone.cli.show:Show",
    "reproduce": "torchstone.cli.reproduce:Reproduce",
    "export": "torchstone.cli.export:Export",
    "prune": "torchstone.cli.prune:Prune",
    "new": "torchstone.cli.new:New",
    "review": "torchstone.cli.review:Review",
    "compare": "torchstone.cli.compare:Compare",
    "optim": "torchstone.cli.optim:Optim",
    "fewshot": "torchstone.cli.fewshot:Fewshot",
    "selfsup": "torchstone.cli.selfsup:Selfsup",
    "smooth": "torchstone.cli.smooth:Smooth",
}
DESCRIPTION = "A PyTorch laboratory in which deep-learning claims are run, not read."
INTERRUPTED = 130
BROKEN_PIPE = 141


class Command(Protocol):
    """What the words after ``torchstone`` are turned into."""

    def run(self) -> int:
        """Do it; returns the exit code."""
        ...


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that ``arguments`` name (``sys.argv`` by default).

    Returns:
        The exit code: 0 when it ran, whatever the verdict; 1 when a trial or the report failed, or ``smooth`` found
        errors; 2 for what a user must mend; 130 after Ctrl-C; 141 when nobody read on.
    """
    try:
        code = _run(sys.argv[1:] if arguments is None else list(arguments))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `torchstone list 2>&1 | head`: nobody reads on
        for stream in (sys.stdout, sys.stderr):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return BROKEN_PIPE


def _run(arguments: Sequence[str]) -> int:
    if arguments == ["--version"]:
        print(f"torchstone {__version__}")
        return 0
    from torchstone.cli.common import UsageError

    try:
        return _parse(arguments or ["--help"]).run()
    except UsageError as error:
        print(f"torchstone: {error}", file=sys.stderr)
        return 2


def _parse(arguments: Sequence[str]) -> Command:
    import tyro

    command: Command = tyro.extras.subcommand_cli_from_dict(
        {name: _load(path) for name, path in COMMANDS.items()},
        prog="torchstone",
        description=DESCRIPTION,
        args=arguments,
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes),
    )
    return command


def _load(path: str) -> Callable[..., Command]:
    module, _, name = path.partition(":")
    command: Callable[..., Command] = getattr(import_module(module), name)
    return command
