"""Start runs and kill them, with all their processes, at random moments: ``kill_runs.py OUT JOBS KILLS SEED``.

A process that has imported torch forks each run, so that a start costs little. Prints, for each kill, how many trials
were on record by then; at the end lets a run finish.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
import toy_studies

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

    run_study(toy_studies.Slow(), "paper", out=out, jobs=jobs, listen=listen)
    os._exit(0)


def main(out: Path, jobs: int, kills: int, seed: int) -> None:
    moments = random.Random(seed)
    for _ in range(kills):
        group, events = start(out, jobs)
        if moments.random() < 0.8:
            os.read(events, 1)
            time.sleep(moments.uniform(0, 0.1))
        else:
            time.sleep(moments.uniform(0, 0.25))
        os.killpg(group, signal.SIGKILL)
        os.waitpid(group, 0)
        os.close(events)
        print(len(Store(out).records("slow-toy", "paper")), flush=True)
    group, _ = start(out, jobs)
    sys.exit(os.waitpid(group, 0)[1])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
