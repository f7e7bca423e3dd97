"""Records as runs of MLflow: one each, with configuration, metrics, tensors and where it comes from."""

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from torchstone.lab.exports.text import record_values
from torchstone.lab.recorded import Recorded
from torchstone.lab.store import Artifacts

if TYPE_CHECKING:
    from mlflow import MlflowClient


def write_mlflow(records: Sequence[Recorded], folder: Path) -> int:
    """Write each record as a run into ``folder/mlflow.db``, its tensors below ``folder/artifacts``; returns how many.

    ``mlflow ui --backend-store-uri sqlite:///FOLDER/mlflow.db`` shows them; the experiment is ``torchstone/STUDY``. A
    record that is there is left as it is. MLflow makes infinities the largest numbers that it knows, and ``recall@1``,
    whose sign it does not take, becomes ``recall_1``.
    """
    from mlflow import MlflowClient

    folder.mkdir(parents=True, exist_ok=True)
    client = MlflowClient(f"sqlite:///{folder.resolve() / 'mlflow.db'}")
    written = 0
    for recorded in records:
        name = f"torchstone/{recorded.key.study}"
        known = client.get_experiment_by_name(name)
        files = (folder.resolve() / "artifacts").as_uri()
        experiment = known.experiment_id if known else client.create_experiment(name, files)
        finished = f"tags.`torchstone.record` = '{recorded.id}' and attributes.status = 'FINISHED'"
        if not client.search_runs([experiment], finished, max_results=1):
            _write(client, experiment, recorded)
            written += 1
    return written


def _write(client: "MlflowClient", experiment: str, recorded: Recorded) -> None:
    from mlflow.entities import Metric, Param

    values, artifacts = record_values(recorded), recorded.record.artifacts
    tensors = artifacts.path if isinstance(artifacts, Artifacts) and len(artifacts) else None  # read, and so checked
    tags = {f"torchstone.{name}": str(value) for name, value in values.items() if isinstance(value, str | int | float)}
    tags |= {f"environment.{name}": value for name, value in values["environment"].items()}
    run = client.create_run(experiment, tags=tags, run_name=f"{recorded.key.arm}, seed {recorded.key.seed}").info.run_id
    parameters = {"arm": values["arm"], "seed": values["seed"], **values["config"]}
    finished = int(datetime.fromisoformat(values["finished"]).timestamp() * 1000)
    metrics = [Metric(_allowed(name), value, finished, 0) for name, value in values["metrics"].items()]
    client.log_batch(run, metrics, [Param(_allowed(name), str(value)) for name, value in parameters.items()])
    if tensors:
        client.log_artifact(run, str(tensors))
    client.set_terminated(run)


def _allowed(name: str) -> str:
    return re.sub(r"[^\w./ :-]", "_", name)
