"""Records of one claim, made by hand: every kind of number, and tensors in a file."""

import math
from pathlib import Path

import pytest
import torch

from torchstone.files import write_tensors
from torchstone.lab import Store, Trial
from torchstone.lab.recorded import Recorded, recorded
from torchstone.lab.store import Key, artifact_path

METRICS = {"recall@1": 0.1 + 0.2, "loss": math.nan, "worst": math.inf}
CONFIG = {"width": [3, 4], "rate": 1e-3, "norm": "layer, batch", "bias": True}


@pytest.fixture
def records(tmp_path: Path) -> list[Recorded]:
    """Two trials of one claim; the second has no configuration, other metrics and no tensors."""
    store = Store(tmp_path / "runs")
    sha256 = write_tensors(tmp_path / "staged", {"x": torch.arange(6.0).view(2, 3)})
    target = artifact_path(store.folder, sha256)
    target.parent.mkdir(parents=True)
    (tmp_path / "staged").replace(target)
    for trial, metrics, artifacts in (
        (Trial("ours / best", 0, CONFIG), METRICS, sha256),
        (Trial("theirs", 1001), {"loss": -2.5}, None),
    ):
        key = Key.of("some-claim", "laptop", trial, "0123456789ab", "cpu")
        store.add(key, trial, metrics, artifacts, seconds=1.5, environment={"torch": "2.13.0", "threads per job": "2"})
    return recorded(store, "some-claim")
