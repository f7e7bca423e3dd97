"""Trials on a Ray cluster. Each is a task of Ray's that starts the same worker process as on one machine.

So the bits do not depend on the engine. The task yields the messages of its worker; tensors travel with the last one
through the object store, and the driver alone writes the records.
"""

import logging
import os
import queue
import random
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from torchstone.cache import cache_folder
from torchstone.files import write_bytes
from torchstone.lab.engine import Chances, EngineError, check_importable
from torchstone.lab.environment import describe_environment
from torchstone.lab.pool import Inbox, Worker
from torchstone.lab.ranks import search_path
from torchstone.lab.scratch import Scratch, sweep
from torchstone.lab.store import artifact_path
from torchstone.lab.study import Study
from torchstone.lab.task import Message, Task, TellOf

AT_ONCE = 256  # trials that the cluster knows of, running or waiting: enough for an autoscaler to see what is needed


@dataclass(frozen=True)
class RayEngine:
    """The trials on an existing Ray cluster, each on a node that has what it needs to itself.

    Args:
        address: where the cluster is, such as ``10.0.0.1:6379``; ``auto`` takes ``$RAY_ADDRESS``, else the cluster that
            runs on this machine.
        cpus_per_trial: cores of each trial, which are its threads (of a distributed trial, of all ranks together); by
            default one for each process.
        gpus_per_trial: GPUs of each trial; half a GPU lets two trials share one. By default none on the CPU, and one
            for each process on ``cuda``.
        jobs: how many trials the cluster is given at once; it runs as many of them as it has room for.

    Raises:
        ValueError: a number is not as it must be.

    Example:
        >>> engine = RayEngine("10.0.0.1:6379", cpus_per_trial=4)  # run_study(study, out=..., engine=engine)
        >>> engine.cpus_per_trial
        4
    """

    address: str = "auto"
    cpus_per_trial: int | None = None
    gpus_per_trial: float | None = None
    jobs: int = AT_ONCE

    def __post_init__(self) -> None:
        cpus, gpus = self.cpus_per_trial, self.gpus_per_trial
        if cpus is not None and (not isinstance(cpus, int) or cpus < 1):
            raise ValueError(f"cpus_per_trial must be a whole number of cores, 1 or more, but it is {cpus!r}.")
        if gpus is not None and not (0 <= gpus <= 1 or (gpus > 0 and float(gpus).is_integer())):
            raise ValueError(f"gpus_per_trial must be a whole number, or a part of one GPU, but it is {gpus!r}.")
        if not isinstance(self.jobs, int) or self.jobs < 1:
            raise ValueError(
                f"jobs must be how many trials the cluster is given at once, 1 or more, but it is {self.jobs!r}."
            )

    def prepare(self, study: Study, device: str) -> tuple[str, Mapping[str, str]]:
        """See :class:`~torchstone.lab.engine.Engine`; the device is that of a node, not of this machine."""
        check_importable(study, "run it on this machine in this process, with jobs=0")
        if self.address.startswith("ray://"):
            raise EngineError(
                f"address must be that of the cluster itself, such as 10.0.0.1:6379, but it is '{self.address}', a Ray "
                "client's. Start torchstone on a node of the cluster: ray job submit -- torchstone run ..."
            )
        device = _device_of_a_node(device)
        described = describe_environment(device="cpu", jobs=self.jobs, threads=self.threads(study))
        return device, {**described, "device": device, "engine": "ray"}

    def perform(self, study: Study, indices: Sequence[int], task_of: Callable[[int], Task], tell: TellOf) -> None:
        """See :class:`~torchstone.lab.engine.Engine`.

        Raises:
            EngineError: Ray is not installed, or no cluster answers.
        """
        if not indices:
            return
        ray, ours = _connected(self.address)
        crowd = _Crowd(ray, self, study, indices, task_of, tell)
        try:
            crowd.run()
        except KeyboardInterrupt:
            crowd.hear_the_last()
            raise
        finally:
            crowd.disperse()
            if ours:
                ray.shutdown()

    def needs(self, study: Study, device: str) -> dict[str, float]:
        """What a trial takes of a node, by the names that Ray gives."""
        gpus = study.processes if device.startswith("cuda") else 0
        return {
            "CPU": self.cpus_per_trial or study.processes,
            "GPU": gpus if self.gpus_per_trial is None else self.gpus_per_trial,
        }

    def threads(self, study: Study) -> int:
        """Of each process of a trial."""
        return max(1, (self.cpus_per_trial or study.processes) // study.processes)


class _Crowd:
    """The trials that the cluster has been given, each a stream of messages."""

    def __init__(
        self,
        ray: ModuleType,
        engine: RayEngine,
        study: Study,
        indices: Sequence[int],
        task_of: Callable[[int], Task],
        tell: TellOf,
    ) -> None:
        self.ray, self.engine, self.study, self.task_of, self.tell = ray, engine, study, task_of, tell
        self.waiting = deque(indices)
        self.streams: dict[Any, tuple[int, Task]] = {}
        self.heard: tuple[Any, Message] | None = None
        self.chances = Chances()

    def run(self) -> None:
        """See it through."""
        while self.waiting or self.streams:
            while self.waiting and len(self.streams) < self.engine.jobs:
                self.submit(self.waiting.popleft())
            ready, _ = self.ray.wait(list(self.streams), num_returns=1)
            for stream in ready:
                self.heard = stream, self.next_message(stream)
                self.hear(*self.heard)

    def submit(self, index: int) -> None:
        """Give a trial to the cluster."""
        task = self.task_of(index)
        needs = self.engine.needs(self.study, task.device)
        if not self.streams and not self.has_room(needs):
            wanted = ", ".join(f"{amount:g} {name}" for name, amount in needs.items() if amount)
            note = f"waiting: no node of the cluster has {wanted}"
            self.tell(index, {"kind": "progress", "fraction": 0.0, "note": note})
        remote = self.ray.remote(num_cpus=needs["CPU"], num_gpus=needs["GPU"], max_retries=0)(perform_on_node)
        paths, threads = search_path(), self.engine.threads(self.study)
        self.streams[remote.options(num_returns="streaming").remote(asdict(task), threads, paths)] = index, task

    def has_room(self, needs: Mapping[str, float]) -> bool:
        """Whether any node could run the trial, were it idle."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        return any(all(node.get(name, 0) >= amount for name, amount in needs.items()) for node in nodes)

    def next_message(self, stream: Any) -> Message:
        """What a trial tells next; ``died`` when Ray says so, ``failed`` when it could not even start."""
        try:
            message: Message = self.ray.get(next(stream))
            return message
        except self.ray.exceptions.RayTaskError as error:
            return {"kind": "failed", "note": str(error)}
        except (self.ray.exceptions.RayError, StopIteration) as error:
            return {"kind": "died", "note": f"was lost by the cluster: {type(error).__name__}: {error}"}

    def hear(self, stream: Any, message: Message) -> None:
        """Pass a message on; a trial whose process died is given to the cluster once more."""
        index, task = self.streams[stream]
        if message["kind"] in ("started", "progress"):
            self.tell(index, message)
            return
        ending = self.chances.after_death(index, message["note"]) if message["kind"] == "died" else message
        if ending is None:
            del self.streams[stream]
            self.waiting.appendleft(index)
            return
        if "tensors" in ending:
            write_bytes(artifact_path(Path(task.out), ending["artifacts"]), ending["tensors"])
        self.tell(index, ending)
        del self.streams[stream]  # only now: Ctrl-C may have come while it was told

    def hear_the_last(self) -> None:
        """Pass on what has finished by now, once more what was being told just then, and begin nothing."""
        if self.heard and self.heard[0] in self.streams and self.heard[1]["kind"] == "finished":
            self.hear(*self.heard)
        while self.streams:
            ready, _ = self.ray.wait(list(self.streams), num_returns=len(self.streams), timeout=0)
            if not ready:
                return
            for stream in ready:
                self.hear(stream, self.next_message(stream))

    def disperse(self) -> None:
        """End what is still under way."""
        for stream in self.streams:
            self.ray.cancel(stream, force=True)


def perform_on_node(task: Mapping[str, Any], threads: int, paths: Sequence[str]) -> Iterator[Message]:
    """Run a trial in a worker process on a node of the cluster; yields ``started`` and then its messages.

    Checkpoints lie in the cache folder of the node, where a second chance finds them if it comes to the same node, or
    if the nodes share that folder; those of older code of the study go.
    """
    root, name = cache_folder() / "scratch", Path(task["scratch"]).name
    sweep(root, name.partition(f".{task['code_version']}.")[0], task["code_version"], ())
    scratch = Scratch(root / name)
    out = scratch.path / "outcome"
    inbox: Inbox = queue.SimpleQueue()
    worker = Worker(threads, inbox, paths)
    message: Message = {"kind": "started"}
    try:
        worker.give(replace(Task(**task), out=str(out), scratch=str(scratch.path), away=True))
        while message["kind"] in ("started", "progress"):
            yield message
            _, message = inbox.get()
    finally:
        last = {"note": worker.end()} | message | _tensors(message, out)
        if message["kind"] == "finished":
            scratch.remove()
        else:
            scratch.release()
    yield last


def _tensors(message: Message, out: Path) -> Message:
    """The file of tensors, if the trial has left one, to travel with its last message."""
    sha256 = message.get("artifacts")
    return {"tensors": artifact_path(out, sha256).read_bytes()} if sha256 else {}


def _connected(address: str) -> tuple[ModuleType, bool]:
    """Ray, connected to its cluster, and whether it is for us to disconnect."""
    try:
        import ray
    except ImportError as error:
        raise EngineError(
            "engine 'ray' needs Ray, which is not installed: pip install 'torchstone[cluster]'"
        ) from error
    if ray.is_initialized():
        return ray, False
    _check_reachable(address)
    state = random.getstate()
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise _no_answer(address, error) from error
    finally:
        random.setstate(state)  # Ray draws from it
    return ray, True


def _check_reachable(address: str) -> None:
    """Refuse at once an address where nobody listens; Ray would try for minutes."""
    where = os.environ.get("RAY_ADDRESS", "auto") if address == "auto" else address
    if where == "auto":
        return
    host, _, port = where.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError) as error:
        raise _no_answer(where, error) from error


def _no_answer(address: str, error: Exception) -> EngineError:
    return EngineError(
        f"address must be that of a running Ray cluster, such as 10.0.0.1:6379, but none answers at '{address}' "
        f"({error}). Start one with ray start --head, or give its address."
    )


def _device_of_a_node(device: str) -> str:
    """``cpu``, or ``cuda:0`` for ``cuda``: Ray shows a trial its own GPUs only."""
    if device not in ("cpu", "cuda", "cuda:0"):
        raise EngineError(f"device must be 'cpu' or 'cuda' on a cluster, where Ray deals out the GPUs, not '{device}'.")
    return "cpu" if device == "cpu" else "cuda:0"
