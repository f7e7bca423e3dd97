"""The code version: words, rules and pictures keep the records; what is run does not."""

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

from torchstone.lab import code_version

STUDY = """
from collections.abc import Sequence
from {package}.helpers import train
from {package} import tools, drawing
from torchstone.lab import Check, Claim, Estimate, Outcome, Paper, Study, Trial, Verdict

THRESHOLD = 0.9
STEPS = 100


class Example(Study):
    claim = Claim("example", "It is so.", Paper("A", 2000, "T"))
    scales = {{"laptop": 1}}

    def trials(self, scale):
        return [Trial("a", 0)]

    def run(self, trial, context):
        return Outcome({{"value": tools.double(train(STEPS))}})

    def judge(self, records):
        return Verdict.of(Check.at_least("x", _mean(records), THRESHOLD, zone=0.1), sentence="Yes.")

    def figures(self, records):
        return drawing.draw(records)


def _mean(records):
    return Estimate(1.0, 1.0, 1.0)
"""
HELPERS = "def train(steps):\n    return deeper(steps)\n\nfrom {package}.deep import deeper\n"
FILES = {
    "__init__": "",
    "study": STUDY,
    "helpers": HELPERS,
    "deep": "def deeper(steps):\n    return steps\n",
    "tools": "def double(x):\n    return 2 * x\n",
    "drawing": "def draw(records):\n    return []\n",
    "stranger": "x = 1\n",
}
Version = Callable[..., str]


@pytest.fixture
def version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Version:
    """The version of the study above, with one text replaced in one of its modules."""
    monkeypatch.syspath_prepend(tmp_path)
    count = iter(range(1000))

    def compute(module: str = "study", old: str = "", new: str = "") -> str:
        number = next(count)
        package = tmp_path / f"space{number}" / "versioned"
        package.mkdir(parents=True)
        (tmp_path / f"space{number}" / "__init__.py").touch()
        for name, text in FILES.items():
            text = text.format(package="versioned")
            assert name != module or old in text
            (package / f"{name}.py").write_text(text.replace(old, new) if name == module and old else text)
        monkeypatch.syspath_prepend(package.parent)
        for name in FILES:
            monkeypatch.delitem(importlib.sys.modules, f"versioned.{name}", raising=False)
        monkeypatch.delitem(importlib.sys.modules, "versioned", raising=False)
        importlib.invalidate_caches()
        return code_version(importlib.import_module("versioned.study").Example())

    return compute


def test_it_is_twelve_digits_and_stable(version: Version) -> None:
    assert version() == version()
    assert len(version()) == 12
    int(version(), 16)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("study", "THRESHOLD = 0.9", "THRESHOLD = 0.5"),
        ("study", 'sentence="Yes."', 'sentence="Yes, indeed."'),
        ("study", "return drawing.draw(records)", "return [drawing.draw(records)]"),
        ("study", "return Estimate(1.0, 1.0, 1.0)", "return Estimate(2.0, 1.0, 3.0)"),
        ("study", "It is so.", "It is not so."),
        (
            "study",
            "def run(self, trial, context):",
            'def run(self, trial, context):\n        """Run."""\n        # now',
        ),
        ("study", "STEPS = 100", "STEPS = (\n    100\n)"),
        ("study", "import tools, drawing", "import drawing, tools"),
        ("study", "Verdict\n", "Verdict, Status\n"),
        ("study", "    def figures(self, records):\n        return drawing.draw(records)\n", ""),
        ("study", "    def figures(self", "    compares = ('ours', 'theirs')\n\n    def figures(self"),
        ("drawing", "return []", "return [1]"),
        ("stranger", "x = 1", "x = 2"),
        ("tools", "def double(x):", 'def double(x):\n    """Twice x."""'),
    ],
)
def test_what_is_not_run_keeps_the_records(version: Version, module: str, old: str, new: str) -> None:
    assert version(module, old, new) == version()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("study", "STEPS = 100", "STEPS = 200"),
        ("study", 'Trial("a", 0)', 'Trial("a", 1)'),
        ("study", '{"value"', '{"values"'),
        ("study", '{"laptop": 1}', '{"laptop": 2}'),
        ("tools", "2 * x", "3 * x"),
        ("helpers", "deeper(steps)", "deeper(steps + 1)"),
        ("deep", "return steps", "return steps + 1"),
    ],
)
def test_what_is_run_does_not(version: Version, module: str, old: str, new: str) -> None:
    assert version(module, old, new) != version()


def test_a_study_without_a_file_is_refused(version: Version) -> None:
    version()
    study = type("Nowhere", (importlib.import_module("versioned.study").Example,), {"__module__": "nowhere"})
    importlib.sys.modules["nowhere"] = type(importlib.sys)("nowhere")
    try:
        with pytest.raises(
            ValueError, match="The source of the module 'nowhere' cannot be read: define the study in a"
        ):
            code_version(study())
    finally:
        del importlib.sys.modules["nowhere"]
