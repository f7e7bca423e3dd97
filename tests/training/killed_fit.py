"""Run by test_kill: kill a fit with SIGKILL again and again, resume it to the end, and print what was seen as JSON.

Each life of the fit is a fork of this process, so that torch is imported once.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch
from torch import nn

from torchstone.training import Player, Round, fit, load_checkpoint

STEPS, KILLS = 400, 20


class Noise:
    def at(self, step: int) -> torch.Tensor:
        return torch.randn(8, 16, generator=torch.Generator().manual_seed(step))


def player() -> Player:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 16))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    return Player(model, lambda x: (model(x) - x).square().mean(), optimizer, scheduler=schedule, ema=0.99)


def run(folder: Path, every: int, announce: int) -> None:
    """One life: announces each round; when round k is announced, the checkpoint of round k − 1 is written."""

    def tell(seen: Round) -> None:
        os.write(announce, seen.step.to_bytes(4, "big"))

    fit(player(), Noise(), steps=STEPS, checkpoint=folder, every=every, callbacks=[tell])


def born(folder: Path, every: int) -> tuple[int, int]:
    """Start a life; its process and where it announces."""
    hear, announce = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            run(folder, every, announce)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    os.close(announce)
    return process, hear


def live_and_die(folder: Path, moment: random.Random) -> dict[str, int]:
    """Start a life, let it announce a few rounds, kill it at a random moment, and look at what is on the disk."""
    process, hear = born(folder, every=1)
    told = [int.from_bytes(os.read(hear, 4), "big") for _ in range(moment.randint(1, 5))]
    time.sleep(moment.uniform(0, 0.006))
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    while number := os.read(hear, 4):
        told.append(int.from_bytes(number, "big"))
    os.close(hear)
    latest = load_checkpoint(folder)
    return {
        "signal": os.WTERMSIG(status),
        "first_round": told[0],
        "last_round": told[-1],
        "saved": latest.step if latest else 0,
        "mid_write": int(any(folder.glob(".*.tmp"))),
    }


def finish(folder: Path, every: int) -> int:
    process, hear = born(folder, every)
    while os.read(hear, 65536):
        pass
    os.close(hear)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    player()  # torch imports much more when the first optimizer is made: here, once, rather than in every life
    moment = random.Random(0)
    lives = [live_and_die(folder / "killed", moment) for _ in range(KILLS)]
    exits = [finish(folder / "killed", every=50), finish(folder / "calm", every=STEPS)]
    print(json.dumps({"lives": lives, "exits": exits, "steps": STEPS}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
