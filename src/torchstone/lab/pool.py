"""Worker processes: each is handed one task after another, and replaced when it dies."""

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import IO, cast

from torchstone.lab.engine import Chances, check_importable
from torchstone.lab.environment import checked_device, describe_environment
from torchstone.lab.ranks import search_path, thread_variables
from torchstone.lab.study import Study
from torchstone.lab.task import Message, Task, TellOf

SECONDS_OF_LAST_WORDS = 5.0  # after a process has ended; a child that it forked may keep the pipe open for ever

_BOOT = (
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    "import json, sys; sys.path[:] = json.loads(sys.argv[1])\n"
    "from torchstone.lab.worker import main; main(int(sys.argv[2]))"
)


class Worker:
    """A Python process that runs ``torchstone.lab.worker.main``; its messages go to ``inbox``, the last is ``died``.

    It looks for modules where this process does, and then in the folders ``paths``.
    """

    def __init__(self, threads: int, inbox: "Inbox", paths: Sequence[str] = ()) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by end)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps(search_path(paths)), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=os.environ | thread_variables(threads),
            text=True,
            encoding="utf-8",
        )
        self._tasks, self._messages = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        threading.Thread(target=self._listen, args=(inbox,), daemon=True).start()

    def give(self, task: Task) -> None:
        """Hand it a task; if it has died, ``inbox`` says so."""
        with suppress(BrokenPipeError):
            self._tasks.write(json.dumps(asdict(task)) + "\n")
            self._tasks.flush()

    def end(self) -> str:
        """Kill it; returns how it ended and the last that it wrote to standard error."""
        self._process.kill()
        code = self._process.wait()
        with suppress(BrokenPipeError):
            self._tasks.close()
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip().splitlines()[-20:]
        self._errors.close()
        ending = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return "\n".join([ending, *words])

    def _listen(self, inbox: "Inbox") -> None:
        reader = threading.Thread(target=self._read, args=(inbox,), daemon=True)
        reader.start()
        self._process.wait()
        reader.join(SECONDS_OF_LAST_WORDS)
        inbox.put((self, {"kind": "died"}))

    def _read(self, inbox: "Inbox") -> None:
        with self._messages as messages:
            for line in messages:
                if line.endswith("\n"):  # else it was killed in mid-sentence
                    inbox.put((self, json.loads(line)))


Inbox = queue.SimpleQueue[tuple[Worker, Message]]


@dataclass(frozen=True)
class LocalProcesses:
    """The trials in processes of this machine, ``jobs`` at once, of ``threads`` threads each."""

    jobs: int
    threads: int

    def prepare(self, study: Study, device: str) -> tuple[str, Mapping[str, str]]:
        """See :class:`~torchstone.lab.engine.Engine`."""
        check_importable(study, "run it in this process with jobs=0")
        device = checked_device(device)
        return device, describe_environment(device=device, jobs=self.jobs, threads=self.threads)

    def perform(self, study: Study, indices: Sequence[int], task_of: Callable[[int], Task], tell: TellOf) -> None:
        """See :class:`~torchstone.lab.engine.Engine`."""
        perform_in_processes(indices, task_of, self.jobs, self.threads, tell)


def perform_in_processes(
    indices: Sequence[int],
    task_of: Callable[[int], Task],
    processes: int,
    threads: int,
    tell: TellOf,
) -> None:
    """Perform the tasks ``task_of(index)`` in ``processes`` worker processes of ``threads`` threads each.

    ``tell`` is called in this thread: with ``started`` when a task is handed out, then with the messages of
    :func:`torchstone.lab.worker.perform`. A task whose worker dies is given once more, to a fresh worker. When
    anything is raised here, Ctrl-C included, the workers are killed; after Ctrl-C, what had finished is still told.
    """
    pool = _Pool(indices, task_of, threads, tell)
    try:
        for _ in range(min(processes, len(indices))):
            pool.employ(None)
        while pool.busy:
            pool.heard = pool.inbox.get()
            pool.hear(*pool.heard)
    except KeyboardInterrupt:
        pool.hear_the_last()
        raise
    finally:
        for worker in list(pool.alive):
            pool.retire(worker)


class _Pool:
    """Who is at work on what."""

    def __init__(
        self,
        indices: Sequence[int],
        task_of: Callable[[int], Task],
        threads: int,
        tell: TellOf,
    ) -> None:
        self.waiting, self.task_of, self.threads, self.tell = deque(indices), task_of, threads, tell
        self.inbox: Inbox = queue.SimpleQueue()
        self.alive: set[Worker] = set()
        self.heard: tuple[Worker, Message] | None = None
        self.busy: dict[Worker, int] = {}
        self.chances = Chances()

    def employ(self, worker: Worker | None) -> None:
        """Give the next task to ``worker``, or to a new one."""
        if not self.waiting:
            if worker:
                self.retire(worker)
            return
        if worker is None:
            worker = Worker(self.threads, self.inbox)
            self.alive.add(worker)
        index = self.busy[worker] = self.waiting.popleft()
        self.tell(index, {"kind": "started"})
        worker.give(self.task_of(index))

    def retire(self, worker: Worker) -> str:
        """End ``worker``; returns how it ended."""
        self.alive.discard(worker)
        return worker.end()

    def hear(self, worker: Worker, message: Message) -> None:
        """Pass a message on, and give a worker that is through with its task the next one."""
        if worker not in self.busy:
            return
        if message["kind"] == "progress":
            self.tell(self.busy[worker], message)
            return
        index = self.busy[worker]
        if message["kind"] == "died":
            del self.busy[worker]
            self.bury(worker, index, message)
        else:
            self.tell(index, message)
            del self.busy[worker]  # only now: Ctrl-C may have come while it was told
            self.heard = None
            self.employ(worker)

    def hear_the_last(self) -> None:
        """Pass on what had finished when the work was broken off, once more what was being told just then."""
        messages = [self.heard] if self.heard else []
        while not self.inbox.empty():
            messages.append(self.inbox.get())
        for worker, message in messages:
            if message["kind"] == "finished" and worker in self.busy:
                self.tell(self.busy.pop(worker), message)

    def bury(self, worker: Worker, index: int, message: Message) -> None:
        """Let a new worker try the task of one that died, itself or a rank of it; a task that killed two has failed."""
        ending = self.retire(worker)
        failure = self.chances.after_death(index, message.get("note", ending))
        if failure:
            self.tell(index, failure)
        else:
            self.waiting.appendleft(index)
        self.employ(None)
