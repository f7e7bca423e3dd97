"""The commit of the package's own checkout, and of nobody else's."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from torchstone.lab import environment
from torchstone.lab.environment import available_cores, checked_device, commit_of

NONE = {"commit": "none", "dirty": "none"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with a package that git tracks, and one that is only installed there."""
    for package in ("src/package", "venv/package"):
        (tmp_path / package).mkdir(parents=True)
        (tmp_path / package / "__init__.py").touch()
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    (tmp_path / ".gitignore").write_text("venv\n")
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    return tmp_path


def test_a_tracked_package_has_a_commit(checkout: Path) -> None:
    head = subprocess.run(["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True)
    assert commit_of(checkout / "src" / "package") == {"commit": head.stdout.strip(), "dirty": "no"}
    (checkout / "src" / "package" / "new.py").touch()
    assert commit_of(checkout / "src" / "package")["dirty"] == "yes"


def test_an_installed_package_is_no_part_of_the_repository_around_it(checkout: Path) -> None:
    assert commit_of(checkout / "venv" / "package") == NONE


def test_no_repository_no_git(tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert commit_of(tmp_path / "absent") == NONE
    monkeypatch.setenv("PATH", "")
    assert commit_of(checkout / "src" / "package") == NONE


def test_the_repository_that_git_was_called_in_does_not_count(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("elsewhere")))
    assert commit_of(checkout / "src" / "package")["dirty"] == "no"


def test_cores_are_those_we_may_use() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [
        ("300000 100000\n", 3), ("250000 100000\n", 2), ("50000 100000\n", 1), ("9900000 100000\n", 8),
        ("max 100000\n", 8), ("", 8), (None, 8),
    ],
)  # fmt: skip
def test_the_quota_of_a_container_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str | None, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)
    monkeypatch.setattr(environment, "_CPU_MAX", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert available_cores() == cores


def test_a_device_has_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checked_device("cpu") == checked_device("cpu:0") == "cpu"
    here = SimpleNamespace(device=torch.device("cuda:0"), item=float)  # this machine may have no GPU
    monkeypatch.setattr(torch, "zeros", lambda n, device: here)
    assert checked_device("cuda") == "cuda:0"
