"""The engine 'ray' on a real cluster of this machine's: the bits of the local engine, whatever dies meanwhile."""

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from safetensors.torch import load
from tests.conftest import need

from torchstone.files import sha256, tensor_bytes
from torchstone.lab import (
    EngineError,
    Event,
    RayEngine,
    Record,
    RunInterrupted,
    Store,
    Study,
    code_version,
    run_study,
)
from torchstone.lab import ray_engine as ray_engine_module
from torchstone.lab.ray_engine import perform_on_node
from torchstone.lab.task import Message, Task

HERE = Path(__file__).parent / "importable"


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(HERE)
    import toy_studies

    return toy_studies


@pytest.fixture(scope="module")
def ray() -> ModuleType:
    need(find_spec("ray") is not None, "Ray is missing: pip install 'torchstone[cluster]'.")
    import ray

    return ray


@pytest.fixture
def cluster(ray: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayEngine]:
    """A head node of two cores, with a cache folder of its own; nothing of it is left afterwards."""
    folder, port = tmp_path_factory.mktemp("ray"), free_port()
    options = ["--head", "--block", "--num-cpus=2", "--num-gpus=0", "--include-dashboard=false", f"--port={port}"]
    options += ["--node-ip-address=127.0.0.1", "--object-store-memory=100000000", "--disable-usage-stats"]
    variables = {"RAY_AUTH_MODE": "disabled", "TORCHSTONE_CACHE": str(folder / "cache")}
    with pytest.MonkeyPatch.context() as patch, (folder / "log").open("w") as log:
        for name, value in variables.items():
            patch.setenv(name, value)
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", *options]
        head = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for("Ray runtime started", folder / "log")
            yield RayEngine(f"127.0.0.1:{port}")
        finally:
            head.terminate()
            head.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(words: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while words not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)


def test_a_cluster_gives_the_same_bits_whatever_is_killed_and_hears_ctrl_c(
    toys: ModuleType,
    cluster: RayEngine,
    tmp_path: Path,
    bits: Callable[[list[Record]], list[object]],
    leftovers: Callable[[Path], set[str]],
) -> None:
    """One test, so that one process of pytest-xdist starts one cluster."""
    what_is_killed_in_mid_trial_changes_no_bit(toys, cluster, tmp_path / "killed", bits, leftovers)
    ctrl_c_ends_the_trials_on_the_nodes(toys, cluster, tmp_path / "interrupted")


def what_is_killed_in_mid_trial_changes_no_bit(
    toys: ModuleType,
    cluster: RayEngine,
    tmp_path: Path,
    bits: Callable[[list[Record]], list[object]],
    leftovers: Callable[[Path], set[str]],
) -> None:
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if event.note.startswith("step 2 ") and kinds(events, event.index) == ["started"]:
            trial, worker_of_ray = map(int, event.note.split()[-3::2])
            os.kill((trial, worker_of_ray)[event.index], signal.SIGKILL)

    run = run_study(toys.Watched(), out=tmp_path / "ray", engine=cluster, listen=listen)
    here = run_study(toys.Watched(), out=tmp_path / "here", jobs=0)
    assert bits(run.records) == bits(here.records)
    assert kinds(events, 0) == kinds(events, 1) == ["started", "started", "finished"]
    assert leftovers(tmp_path / "ray") == leftovers(tmp_path / "here")
    assert run.environment["engine"] == "ray"


def kinds(events: list[Event], index: int) -> list[str]:
    return [event.kind for event in events if event.index == index and event.kind != "progress"]


def ctrl_c_ends_the_trials_on_the_nodes(toys: ModuleType, cluster: RayEngine, tmp_path: Path) -> None:
    workers = set[int]()

    def listen(event: Event) -> None:
        if event.note.startswith("by process") and not workers:
            workers.add(int(event.note.split()[-1]))
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()

    with pytest.raises(RunInterrupted, match="of 3 trials are on record"):
        run_study(toys.Endless(), out=tmp_path, engine=cluster, listen=listen)
    deadline = time.monotonic() + 5
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(workers) == 1
    assert not any(map(alive, workers))


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


Node = Callable[[Task], list[Message]]


@pytest.fixture
def node(toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """Run a task as a node of a cluster does, in a cache folder of its own; gives its messages."""
    monkeypatch.setenv("TORCHSTONE_CACHE", str(tmp_path / "node"))
    return lambda task: list(perform_on_node(asdict(task), 1, [str(HERE)]))


def task_of(study: Study, **changes: object) -> Task:
    (trial, *_) = study.trials(1)
    nowhere, version = Path("/nowhere"), code_version(study)
    scratch = nowhere / "scratch" / f"{study.claim.name}.{version}.0123"
    plain = Task.of(study, trial, device="cpu", out=nowhere, scratch=scratch, code_version=version)
    return replace(plain, **changes)


def test_a_node_sends_tensors_and_its_own_environment(toys: ModuleType, node: Node, tmp_path: Path) -> None:
    messages = node(task_of(toys.Toy()))
    assert messages[0] == {"kind": "started"}
    last = messages[-1]
    assert sha256(last["tensors"]) == last["artifacts"]
    assert set(load(last["tensors"])) == {"x", "gram", "half"}
    assert last["environment"]["threads per job"] == "1"
    assert "jobs" not in last["environment"]
    assert list((tmp_path / "node" / "scratch").iterdir()) == []


def test_a_node_sweeps_what_no_trial_can_use_any_more(toys: ModuleType, node: Node, tmp_path: Path) -> None:
    scratch = tmp_path / "node" / "scratch"
    stays = {f"toy.{code_version(toys.Toy())}.unfinished", "other-toy.0123.4567"}
    for name in [*stays, "toy.0123.4567", f"toy.{code_version(toys.Toy())}.killed-12-ab"]:
        (scratch / name).mkdir(parents=True)
    assert node(task_of(toys.Toy()))[-1]["kind"] == "finished"
    assert {folder.name for folder in scratch.iterdir()} == stays


class Cluster:
    """What the engine asks of Ray, without Ray: each trial is through at once."""

    class exceptions:
        RayError = RayTaskError = ConnectionError

    def remote(self, **needs: object) -> Callable[..., "Cluster"]:
        assert needs["max_retries"] == 0
        return lambda function: self

    def options(self, **options: object) -> SimpleNamespace:
        return SimpleNamespace(remote=self.stream)

    def stream(self, task: dict[str, object], threads: int, paths: list[str]) -> Iterator[Message]:
        content = tensor_bytes({"x": torch.ones(1)})
        yield {"kind": "started"}
        done = {"metrics": "{}", "artifacts": sha256(content), "tensors": content, "seconds": 1.0}
        yield {"kind": "finished", "note": "", **done}

    def wait(
        self, streams: list[object], num_returns: int, timeout: object = None
    ) -> tuple[list[object], list[object]]:
        return streams[:num_returns], []

    def get(self, message: Message) -> Message:
        return message

    def nodes(self) -> list[dict[str, object]]:
        return [{"Alive": True, "Resources": {"CPU": 1, "GPU": 0}}]

    def cancel(self, stream: object, force: bool) -> None:
        assert force


@pytest.mark.parametrize("moment", ["write_bytes", "before", "after"])
def test_ctrl_c_while_a_trial_is_being_recorded_loses_nothing(
    toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(ray_engine_module, "_connected", lambda address: (Cluster(), False))
    calls: list[str] = []

    def interrupted(work: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **more: object) -> object:
            calls.append(moment)
            if len(calls) == 1 and moment != "after":
                raise KeyboardInterrupt
            done = work(*arguments, **more)
            if len(calls) == 1:
                raise KeyboardInterrupt
            return done

        return call

    place = (ray_engine_module, "write_bytes") if moment == "write_bytes" else (Store, "add")
    monkeypatch.setattr(*place, interrupted(getattr(*place)))
    with pytest.raises(RunInterrupted, match="1 of 3 trials are on record"):
        run_study(toys.Toy(), out=tmp_path, engine=RayEngine(jobs=1))
    (record,) = Store(tmp_path).records("toy", "laptop").values()
    assert record.artifacts["x"].item() == 1.0


def test_a_node_with_other_code_or_without_the_device_says_so(toys: ModuleType, node: Node) -> None:
    told = node(task_of(toys.Toy(), code_version="0" * 12))[-1]
    assert told["kind"] == "failed"
    assert f"but the run was started with {'0' * 12}. If the file was edited" in told["note"]
    told = node(task_of(toys.Toy(), device="cuda:99"))[-1]
    assert told["kind"] == "failed"
    assert "device must be one that this machine has" in told["note"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cpus_per_trial": 0}, "cpus_per_trial must be a whole number of cores, 1 or more, but it is 0"),
        ({"gpus_per_trial": 1.5}, "gpus_per_trial must be a whole number, or a part of one GPU, but it is 1.5"),
        ({"gpus_per_trial": -1}, "gpus_per_trial must be"),
        ({"gpus_per_trial": math.nan}, "gpus_per_trial must be"),
        ({"jobs": 0}, "jobs must be how many trials the cluster is given at once, 1 or more, but it is 0"),
    ],
)
def test_bad_numbers(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RayEngine(**arguments)


def test_what_cannot_run_is_refused_before_anything_does(toys: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"address must be that of the cluster itself, .* is 'ray://x:10001'"):
        run_study(toys.Toy(), out=tmp_path, engine=RayEngine("ray://x:10001"))
    with pytest.raises(EngineError, match=r"device must be 'cpu' or 'cuda' on a cluster, .* not 'cuda:1'"):
        run_study(toys.Toy(), out=tmp_path, device="cuda:1", engine=RayEngine())


def test_without_ray_the_extra_is_named(toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EngineError, match=r"engine 'ray' needs Ray, .*: pip install 'torchstone\[cluster\]'"):
        run_study(toys.Toy(), out=tmp_path, engine=RayEngine())


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense"])
def test_nobody_answers(ray: ModuleType, toys: ModuleType, tmp_path: Path, address: str) -> None:
    with pytest.raises(EngineError, match=f"but none answers at '{address}' .* Start one with ray start --head"):
        run_study(toys.Toy(), out=tmp_path, engine=RayEngine(address))


def test_no_cluster_runs_here(
    ray: ModuleType, toys: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**options: object) -> None:
        raise ConnectionError("Could not find any running Ray instance")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(EngineError, match=r"but none answers at 'auto' \(Could not find any running Ray instance\)"):
        run_study(toys.Toy(), out=tmp_path, engine=RayEngine())


def test_what_a_trial_needs_of_a_node(toys: ModuleType) -> None:
    assert RayEngine().needs(toys.Toy(), "cpu") == {"CPU": 1, "GPU": 0}
    assert RayEngine().needs(toys.Together(), "cuda:0") == {"CPU": 2, "GPU": 2}
    engine = RayEngine(cpus_per_trial=8, gpus_per_trial=0.5)
    assert engine.needs(toys.Toy(), "cuda:0") == {"CPU": 8, "GPU": 0.5}
    assert (engine.threads(toys.Toy()), engine.threads(toys.Together())) == (8, 4)
