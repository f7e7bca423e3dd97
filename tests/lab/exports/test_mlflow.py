"""What MLflow itself reads back."""

import math
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.conftest import need

from torchstone.files import DamagedFileError, read_tensors
from torchstone.lab.exports import write_mlflow
from torchstone.lab.recorded import Recorded
from torchstone.lab.store import Artifacts


@pytest.fixture(autouse=True)
def mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("mlflow", "sqlalchemy", "alembic"):
        need(find_spec(package) is not None, f"{package} is missing: pip install 'torchstone[mlflow]'.")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy is deprecated")  # MLflow's way with SQLAlchemy
def test_each_record_is_a_run_once(records: list[Recorded], tmp_path: Path) -> None:
    from mlflow import MlflowClient

    folder = tmp_path / "tracking"
    artifacts = records[0].record.artifacts
    assert isinstance(artifacts, Artifacts)
    whole = artifacts.path.read_bytes()
    artifacts.path.write_bytes(b"no tensors")
    with pytest.raises(DamagedFileError, match="is damaged"):
        write_mlflow(records, folder)
    artifacts.path.write_bytes(whole)
    assert write_mlflow(records[:1], folder) == 1
    assert write_mlflow(records, folder) == 1
    assert write_mlflow(records, folder) == 0

    client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("torchstone/some-claim")
    runs = {run.data.tags["torchstone.record"]: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {each.id for each in records}
    assert all(run.info.status == "FINISHED" for run in runs.values())

    ours, theirs = (runs[each.id] for each in records)
    assert ours.info.run_name == "ours / best, seed 0"
    assert ours.data.params == {
        "arm": "ours / best",
        "seed": "0",
        "width": "[3, 4]",
        "rate": "0.001",
        "norm": "layer, batch",
        "bias": "True",
    }
    assert ours.data.metrics["recall_1"] == 0.1 + 0.2
    assert math.isnan(ours.data.metrics["loss"])
    assert ours.data.metrics["worst"] == sys.float_info.max
    assert theirs.data.metrics == {"loss": -2.5}
    assert ours.data.tags["torchstone.code_version"] == "0123456789ab"
    assert ours.data.tags["environment.torch"] == "2.13.0"

    (tensors,) = client.list_artifacts(ours.info.run_id)
    path = folder / "artifacts" / ours.info.run_id / "artifacts" / tensors.path
    assert read_tensors(path, records[0].sha256)["x"].shape == (2, 3)
    assert client.list_artifacts(theirs.info.run_id) == []
