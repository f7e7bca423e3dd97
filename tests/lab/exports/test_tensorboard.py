"""What TensorBoard itself reads back."""

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import need

from torchstone.lab.exports import write_tensorboard
from torchstone.lab.recorded import Recorded


@pytest.fixture(autouse=True)
def tensorboard() -> None:
    need(find_spec("tensorboard") is not None, "tensorboard is missing: pip install 'torchstone[tensorboard]'.")


def read(run: Path) -> tuple[dict[str, float], dict[str, Any], str]:
    """Scalars, hyperparameters and the text of a run."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(run)).Reload()
    scalars = {tag: events.Scalars(tag)[0].value for tag in events.Tags()["scalars"]}
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = HParamsPluginData.FromString(content).session_start_info.hparams
    parameters = {name: getattr(value, value.WhichOneof("kind")) for name, value in start.items()}
    (text,) = events.Tensors("record/text_summary")
    return scalars, parameters, text.tensor_proto.string_val[0].decode()


def test_each_record_is_a_run(records: list[Recorded], tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    assert write_tensorboard(records, logs) == 2
    ours, theirs = (
        logs / "some-claim" / "laptop" / name
        for name in (f"ours___best-seed0-{records[0].id}", f"theirs-seed1001-{records[1].id}")
    )
    scalars, parameters, text = read(ours)
    assert scalars["metrics/recall@1"] == pytest.approx(0.3)
    assert math.isnan(scalars["metrics/loss"])
    assert scalars["metrics/worst"] == math.inf
    assert parameters == {
        "arm": "ours / best",
        "seed": 0.0,
        "config.width": "[3,4]",
        "config.rate": 1e-3,
        "config.norm": "layer, batch",
        "config.bias": True,
    }
    assert records[0].id in text
    assert read(theirs)[0] == {"metrics/loss": -2.5}
    assert len([path for path in logs.rglob("*") if path.is_dir()]) == 4, "something else was left"


def test_runs_that_are_there_stay_as_they_are(records: list[Recorded], tmp_path: Path) -> None:
    assert write_tensorboard(records[:1], tmp_path / "logs") == 1
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "logs").rglob("events*")}
    assert write_tensorboard(records, tmp_path / "logs") == 1
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "logs").rglob("events*")}
    assert before.items() < after.items()
