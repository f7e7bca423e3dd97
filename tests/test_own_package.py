"""docs/your-own-claims.md, word for word: a stranger's package is built, installed, found, run and exported."""

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.conftest import need

DOCUMENT = (Path(__file__).parents[1] / "docs" / "your-own-claims.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, flags=re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The shell of a stranger, in which pip installs into a folder and asks no index."""
    site, programs = tmp_path / "site", str(Path(sys.executable).parent)
    pip = {"PIP_TARGET": str(site), "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    python = {"PYTHONPATH": str(site), "PYTEST_ADDOPTS": "-p no:cacheprovider", "OMP_NUM_THREADS": "1"}
    own = {
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "TORCHSTONE_CACHE": str(tmp_path / "cache"),
    }
    return os.environ | pip | python | own | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}


def test_a_stranger_adds_a_claim(tmp_path: Path, environment: dict[str, str]) -> None:
    for package in ("hatchling", "pip"):
        need(find_spec(package) is not None, f"{package} is missing: pip install 'torchstone[dev]'.")
    make, install, look = blocks("sh")
    (project,) = blocks("toml")

    def shell(words: str, folder: Path) -> str:
        ended = subprocess.run(
            ["bash", "-e", "-c", words], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    assert 'mean-beats-single = "my_claims.mean_beats_single"' in shell(make, tmp_path)
    package = tmp_path / "my-claims"
    (package / "pyproject.toml").write_text(project, encoding="utf-8")
    output = shell(install, package)
    assert "3 passed" in output
    assert "mean-beats-single\tnot run yet\tsmoke, laptop, paper" in output
    assert output.count("✓ CONFIRMED") == 2  # by run, in worker processes, and by show
    assert (tmp_path / "site" / "my_claims" / "mean_beats_single.py").is_file()

    look = "\n".join(line for line in look.splitlines() if "--to" not in line)  # tests/lab/exports read those back
    record = shell(look, package).split("\t")[0]
    assert len((package / "records.csv").read_text(encoding="utf-8").splitlines()) == 1 + 100
    assert "THE BITS AGREE" in shell(f"torchstone reproduce {record}", package)
