"""``torchstone new``: a claim of one's own, as a file that runs."""

import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated, Literal

import tyro

from torchstone.cli.common import UsageError, check_writable

NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)+"
HOME = "torchstone.studies"


@dataclass(frozen=True)
class New:
    """Write a study that runs, is judged and tested, to put a claim of your own in its place."""

    what: Annotated[tyro.conf.Positional[Literal["claim"]], tyro.conf.arg(metavar="claim")]
    """what to write"""
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME")]
    """its name: two or more lower-case words joined by hyphens"""
    folder: Path = Path()
    """where the study goes, such as a folder of your package"""
    tests: Path | None = None
    """where its test goes; beside the study by default"""

    def run(self) -> int:
        """Write both files and say what to do next; returns the exit code."""
        self.check_name()
        stem = self.name.replace("-", "_")
        study, test = self.folder / f"{stem}.py", (self.tests or self.folder) / f"test_{stem}.py"
        self.check_free(study, test)
        module = module_name(study)
        words = {"name": self.name, "module": module, **layout(module)}
        words["class_name"] = "".join(word.capitalize() for word in self.name.split("-"))
        for template, path in (("claim.py.txt", study), ("test_claim.py.txt", test)):
            _write(template, path, words)
        print(next_steps(self.name, module, study, test))
        return 0

    def check_name(self) -> None:
        """Refuse a name that is none, or that another claim has."""
        from torchstone.lab.discover import discover

        if not re.fullmatch(NAME, self.name):
            raise UsageError(
                f"NAME must be two or more lower-case words joined by hyphens, such as sharp-minima, but it is "
                f"{self.name!r}."
            )
        if self.name in (known := discover()):
            raise UsageError(
                f"There is a claim named '{self.name}' already, in {type(known[self.name]).__module__}. "
                "Give yours another name."
            )

    def check_free(self, *paths: Path) -> None:
        """Refuse to write over files, and folders that cannot be written to."""
        for path in paths:
            if path.exists():
                raise UsageError(f"{path} exists and is not written over. Give another NAME or --folder.")
        check_writable(self.folder, "--folder")
        if self.tests:
            check_writable(self.tests, "--tests")


def module_name(study: Path) -> str:
    """The name under which the file is imported: that of its package, if it lies in one."""
    names = [study.stem]
    for folder in study.resolve().parents:
        if not (folder / "__init__.py").is_file():
            break
        names.insert(0, folder.name)
    return ".".join(names)


def layout(module: str) -> dict[str, str]:
    """Blank lines between imports: torchstone is a stranger's package, except where the study is torchstone's own."""
    ours = module.startswith("torchstone.")
    return {"blank_inside": "\n" if ours else "", "blank_outside": "" if ours else "\n"}


def next_steps(name: str, module: str, study: Path, test: Path) -> str:
    """What a person who has just got both files wants to know."""
    lines = [f"Written: {study} and {test}.", f"Test it: pytest {test}"]
    if not module.startswith(f"{HOME}."):
        lines += ["So that `torchstone list` finds it, add this to your package's pyproject.toml, and install it:", ""]
        lines += [f'    [project.entry-points."{HOME}"]', f'    {name} = "{module}"', ""]
    return "\n".join([*lines, f"Run it: torchstone run {name}"])


def _write(template: str, path: Path, words: dict[str, str]) -> None:
    from torchstone.files import write_text

    text = (files("torchstone.cli") / "templates" / template).read_text(encoding="utf-8")
    write_text(path, Template(text).substitute(words))
