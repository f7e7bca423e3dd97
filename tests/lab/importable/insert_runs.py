"""Insert records from many processes and kill them at random: ``insert_runs.py OUT PROCESSES INSERTS KILLS SEED``.

Each process has records of its own and, as every second one, records that its neighbour inserts too; a killed process
is started again from its first record, and so is one that is done while others are still to be killed. Forks of a
process without torch, so that a start costs nothing. Prints how many processes were killed, and how many inserts said
that they were the first.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from torchstone.lab.store import Key, Store
from torchstone.lab.study import Trial


def seeds(process: int, inserts: int) -> list[int]:
    """Every even number of a block of its own, and every odd one of a block shared by two neighbours."""
    shared, own = 2 * (process // 2) * inserts, process * inserts
    return [(own if place % 2 == 0 else shared) + place for place in range(inserts)]


def insert(out: Path, process: int, inserts: int) -> None:
    store = Store(out)
    for seed in seeds(process, inserts):
        trial = Trial("arm", seed)
        key = Key.of("claim", "laptop", trial, "0123456789ab", "cpu")
        first = store.add(key, trial, {"seed": seed}, None, seconds=1.0, environment={"process": str(process)})
        if first:
            os.write(1, b"+")


def start(out: Path, process: int, inserts: int) -> int:
    child = os.fork()
    if child:
        return child
    insert(out, process, inserts)
    os._exit(0)


def main(out: Path, processes: int, inserts: int, kills: int, seed: int) -> None:
    moments = random.Random(seed)
    at_work = {start(out, process, inserts): process for process in range(processes)}
    killed = 0
    while at_work:
        if killed < kills:
            time.sleep(moments.uniform(0, 0.1))
            victim = moments.choice(sorted(at_work))
            os.kill(victim, signal.SIGKILL)
            child, status = os.waitpid(victim, 0)
        else:
            child, status = os.wait()
        process = at_work.pop(child)
        if status and os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit(f"process {process} ended with {os.waitstatus_to_exitcode(status)}")
        killed += status != 0
        if status or killed < kills:  # a fast process may be done before the kills are: it goes over its records again
            at_work[start(out, process, inserts)] = process
    print(f" {killed}")


if __name__ == "__main__":
    assert "torch" not in sys.modules
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
