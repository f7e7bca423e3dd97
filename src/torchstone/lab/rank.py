"""What the processes of a distributed trial do: torchrun's own, and the ranks."""

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed

from torchstone.files import write_text
from torchstone.lab.ranks import BOOT, DEATH, ending_file, search_path
from torchstone.lab.task import Message, Task
from torchstone.lab.worker import ending_of, run_trial, study_of

SECONDS_BETWEEN_LOOKS = 0.5


def launch(processes: str, folder: str, task: str, threads: str) -> None:
    """Start the ranks by torchrun and wait for them; when one was killed, say so in the file :data:`DEATH`."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import parse_args, run

    options = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={processes}", "--no-python"]
    program = [sys.executable, "-c", BOOT, json.dumps(search_path()), "be_rank", folder, task, threads]
    try:
        run(parse_args([*options, *program]))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        if killed := first_killed(codes):
            write_text(Path(folder) / DEATH, killed)
        sys.exit(1)


def first_killed(codes: Mapping[int, int]) -> str | None:
    """Which rank was killed, in words, if that is why the trial ended.

    Args:
        codes: rank to exit code, negative for a signal, in the order in which torchrun noticed; it ends the others by
            SIGTERM when the first one is gone.

    >>> first_killed({0: 1, 1: -9})  # rank 0 failed because rank 1 was gone
    'was rank 1, killed by SIGKILL'
    >>> first_killed({1: 1, 0: -15}) is None  # rank 1 raised; rank 0 was ended by torchrun
    True
    """
    for place, (rank, code) in enumerate(codes.items()):
        if code < 0 and (place == 0 or code != -signal.SIGTERM):
            return f"was rank {rank}, killed by {signal.Signals(-code).name}"
    return None


def be_rank(folder: str, task: str, threads: str) -> None:
    """Run one rank of a trial; its last message goes to a file, the progress of rank 0 to standard output."""
    threading.Thread(target=_end_with_starter, args=(os.getppid(),), daemon=True).start()
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what a trial prints must not come between the messages
    torch.set_num_threads(int(threads))
    rank = int(os.environ["RANK"])

    def tell(message: Message) -> None:
        if rank == 0:
            messages.write(json.dumps(message) + "\n")
            messages.flush()

    def run() -> Message:
        local = _joined(Task(**json.loads(task)))
        message = run_trial(study_of(local), local, tell, rank)
        torch.distributed.barrier()  # no rank leaves while another needs it
        return message

    message = ending_of(run)
    write_text(ending_file(Path(folder), rank), json.dumps(message))
    sys.stderr.flush()
    os._exit(0 if message["kind"] == "finished" else 1)


def _joined(task: Task) -> Task:
    """Enter the process group; the task with the device of this rank."""
    if torch.device(task.device).type != "cuda":
        torch.distributed.init_process_group("gloo")
        return task
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl", device_id=device)
    return replace(task, device=str(device))


def _end_with_starter(parent: int) -> None:
    """End this process when standard input closes, which nobody writes to, or when its parent is gone."""
    while os.getppid() == parent and not select.select([0], [], [], SECONDS_BETWEEN_LOOKS)[0]:
        pass
    os._exit(1)
