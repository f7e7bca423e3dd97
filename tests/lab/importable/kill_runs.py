"""Start runs and kill them at random moments: ``kill_runs.py OUT JOBS KILLS SEED``.

With worker processes (JOBS > 0) the kills fall in turn on the whole group of processes, on the driver alone, whose
workers must then end by themselves, and on a worker, after which the run goes on and is killed a little later.
A process that has imported torch forks each run, so that a start costs little. Prints, for each kill, how many trials
were on record by then; at the end lets a run finish.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import killable
import torch

from torchstone.lab import Event, Store, run_study, runner

torch.set_num_threads(1)
runner.available_cores = lambda: 1


def start(out: Path, jobs: int) -> tuple[int, int]:
    """Fork a run in a process group of its own; returns the group and a pipe that tells when a trial is under way."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        os.setpgid(child, child)
        return child, reading
    os.setpgid(0, 0)

    def listen(event: Event) -> None:
        if event.kind == "progress":
            os.write(writing, b".")

    run_study(killable.Killable(), "paper", out=out, jobs=jobs, listen=listen)
    os._exit(0)


def children(parent: int) -> list[int]:
    """The processes that ``parent`` has started."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state, its_parent = (process / "stat").read_text().rpartition(")")[2].split()[:2]
        except OSError:  # it has just ended
            continue
        if int(its_parent) == parent and state != "Z":
            found.append(int(process.name))
    return found


def kill(victim: str, group: int, moments: random.Random) -> None:
    """Kill a worker and a little later all, or the driver alone, or all at once."""
    if victim == "worker":
        for worker in children(group):
            os.kill(worker, signal.SIGKILL)
        time.sleep(moments.uniform(0, 0.1))
    if victim == "driver":
        os.kill(group, signal.SIGKILL)
    else:
        os.killpg(group, signal.SIGKILL)
    os.waitpid(group, 0)


def main(out: Path, jobs: int, kills: int, seed: int) -> None:
    moments = random.Random(seed)
    for number in range(kills):
        group, events = start(out, jobs)
        if moments.random() < 0.8:
            os.read(events, 1)
            time.sleep(moments.uniform(0, 0.1))
        else:
            time.sleep(moments.uniform(0, 0.25))
        kill(("group", "driver", "worker")[number % 3] if jobs else "group", group, moments)
        os.close(events)
        print(len(Store(out).records("killable-toy", "paper")), flush=True)
    group, _ = start(out, jobs)
    sys.exit(os.waitpid(group, 0)[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
