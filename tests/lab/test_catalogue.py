"""The catalogue of claims: the same as discovery says, without torch, and never older than the sources."""

import os
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

from torchstone.lab import StudyWarning, discover
from torchstone.lab.catalogue import Entry, catalogue

ONE = """
from torchstone.lab import Claim, Outcome, Paper, Study, Trial

class One(Study):
    claim = Claim("{name}", "It is so.", Paper("A", 2000, "T"), reported={{"x": float("inf")}})
    scales = {{"smoke": 1, "laptop": 2}}

    def trials(self, scale):
        return [Trial("a", 0)]

    def run(self, trial, context):
        return Outcome()

    def judge(self, records):
        raise ArithmeticError
"""
PROGRAM = """
import sys
from torchstone.lab.catalogue import catalogue
print(*(f"{entry.family}/{entry.claim.name}" for entry in catalogue()))
print("torch" in sys.modules)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TORCHSTONE_CACHE", str(folder))
    return folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package with one claim, installed; other processes find it, too."""
    site = tmp_path / "site"
    (site / "mine-1.0.dist-info").mkdir(parents=True)
    (site / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    points = "[torchstone.studies]\nmine = catalogued_package.claims\n"
    (site / "mine-1.0.dist-info" / "entry_points.txt").write_text(points)
    folder = site / "catalogued_package"
    (folder / "claims").mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "claims" / "__init__.py").touch()
    (folder / "claims" / "one.py").write_text(ONE.format(name="one-of-mine"))
    monkeypatch.setenv("PYTHONPATH", str(site))
    return folder


def look() -> tuple[list[str], bool]:
    """The catalogue of a fresh process, and whether it woke torch."""
    answer = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=os.environ)
    claims, woken = answer.stdout.splitlines()
    return claims.split(), woken == "True"


def described() -> dict[str, Entry]:
    return {entry.claim.name: entry for entry in catalogue()}


def test_it_says_what_discovery_says_and_says_it_again_from_the_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, first = discover(), described()
    monkeypatch.setattr("torchstone.lab.catalogue.discover", lambda: pytest.fail("it was kept"))
    again = described()
    assert list(first) == list(again) == list(found)
    for name, study in found.items():
        assert first[name].claim == study.claim
        assert again[name].claim.paper == study.claim.paper
        assert again[name].claim.reported == study.claim.reported
        assert list(again[name].claim.method) == list(study.claim.method)
        assert again[name].scales == list(study.scales)
        assert (again[name].family, again[name].code_version) == (first[name].family, first[name].code_version)
    assert [path.name.split("-")[0] for path in cache.iterdir()] == ["claims"]


def test_torch_sleeps_until_a_source_changes(package: Path) -> None:
    claims, woken = look()
    assert "catalogued_package/one-of-mine" in claims
    assert woken
    assert look() == (claims, False)

    (package / "claims" / "one.py").write_text(ONE.format(name="two-of-mine"))
    renamed, woken = look()
    assert woken
    assert "catalogued_package/two-of-mine" in renamed
    assert "catalogued_package/one-of-mine" not in renamed

    (package / "claims" / "one.py").unlink()
    assert not any(claim.startswith("catalogued_package") for claim in look()[0])


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"claims": [{}], "sources": "x"}', "\0"])
def test_a_damaged_cache_is_as_good_as_none(cache: Path, content: str) -> None:
    whole = described()
    (file,) = cache.iterdir()
    file.write_text(content)
    assert described() == whole


def test_a_cache_that_cannot_be_written_costs_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHSTONE_CACHE", "/dev/null/nowhere")
    assert list(described()) == list(discover())


def test_what_was_left_out_is_told_every_time(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be there next time, without a change of any source: a missing library that was installed, say."""

    def lame() -> dict[str, object]:
        warnings.warn("The module x is left out.", StudyWarning, stacklevel=2)
        return {}

    monkeypatch.setattr(import_module("torchstone.lab.catalogue"), "discover", lame)
    for _ in range(2):
        with pytest.warns(StudyWarning, match="left out"):
            assert catalogue() == []
    assert not cache.exists()
