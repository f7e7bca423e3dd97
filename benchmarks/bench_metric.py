"""Losses and retrieval metrics against pytorch-metric-learning: time and peak memory, each case in a fresh process.

Times are CPU-seconds on one thread: for a loss the least of three, forward and backward; for metrics of one round.
Memory is how far the peak of the process rises above where it stood when its inputs were there. Where faiss is
installed, theirs searches with it.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from resource import RUSAGE_SELF, getrusage
from typing import Any

import torch
from torch import Tensor

MiB = 2**20
LOSSES = ("triplet", "margin", "nt_xent")
BATCHES = (64, 128, 256, 512)
METRICS = [(10_000, 128, 100), (10_000, 128, 1_000), (60_000, 128, 6)]  # n, d, examples of each class
LARGE = [(60_000, 128, 6_000)]  # theirs would hold several matrices of 60,000 × 5,999
NAMES = ("precision_at_1", "r_precision", "mean_average_precision_at_r")


def embeddings(n: int, d: int, each: int) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(n) // each
    centers = torch.randn(int(labels[-1]) + 1, d, generator=draw)
    return centers[labels] + 2 * torch.randn(n, d, generator=draw), labels


def loss_of(name: str, who: str) -> Callable[[Tensor, Tensor], Tensor]:
    from torchstone.metric import batch_all_margin, batch_all_triplet, nt_xent

    ours = {"triplet": batch_all_triplet, "margin": batch_all_margin, "nt_xent": nt_xent}
    if who == "ours":
        return ours[name]
    from pytorch_metric_learning import losses

    theirs = {"triplet": losses.TripletMarginLoss, "margin": losses.MarginLoss, "nt_xent": losses.NTXentLoss}
    return theirs[name]()  # type: ignore[no-any-return]


def loss_case(who: str, name: str, b: int) -> Callable[[], dict[str, float]]:
    x, labels = embeddings(b, 128, 4)
    x.requires_grad_()
    loss = loss_of(name, who)

    def step() -> dict[str, float]:
        value = loss(x, labels)
        (gradient,) = torch.autograd.grad(value, x)
        return {"value": value.item(), "gradient": gradient.norm().item()}

    return step


def metric_case(who: str, n: int, d: int, each: int) -> Callable[[], dict[str, float]]:
    x, labels = embeddings(n, d, each)
    if who == "ours":
        from torchstone.metric import retrieval_metrics

        def ours() -> dict[str, float]:
            found = retrieval_metrics(x, labels)
            return dict(zip(NAMES, (found.precision_at_1, found.r_precision, found.map_at_r), strict=True))

        return ours
    from pytorch_metric_learning.distances import LpDistance
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
    from pytorch_metric_learning.utils.inference import CustomKNN

    knn = None if find_spec("faiss") else CustomKNN(LpDistance(normalize_embeddings=False), batch_size=256)
    calculator = AccuracyCalculator(include=NAMES, k="max_bin_count", device=torch.device("cpu"), knn_func=knn)
    return lambda: calculator.get_accuracy(x, labels)


def peak() -> int:
    return getrusage(RUSAGE_SELF).ru_maxrss * 2**10


def measure(kind: str, who: str, *case: Any) -> dict[str, float]:
    """What one process reports: the first round gives the memory, the quickest the time."""
    torch.set_num_threads(1)
    if find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(1)
    make = loss_case if kind == "loss" else metric_case
    warm = (case[0], 16) if kind == "loss" else (200, 8, 4)
    make(who, *warm)()  # what the first call loads
    work = make(who, *case)
    before = peak()
    seconds = []
    for _ in range(3 if kind == "loss" else 1):
        start = time.process_time()
        answer = work()
        seconds.append(time.process_time() - start)
    return {"seconds": min(seconds), "memory": (peak() - before) / MiB, **answer}


def in_fresh_process(*arguments: Any) -> dict[str, float] | None:
    """``None`` where the process died, of lack of memory as a rule."""
    command = [sys.executable, __file__, "--case", json.dumps(arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else None


def row(name: str, kind: str, case: tuple[Any, ...], rivals: bool = True) -> None:
    ours = in_fresh_process(kind, "ours", *case)
    assert ours is not None
    theirs = in_fresh_process(kind, "theirs", *case) if rivals else None
    line = f"{name:>28} {ours['seconds']:10.4f} {ours['memory']:9.1f}"
    if theirs:
        names = ours.keys() - {"seconds", "memory"}
        apart = max(abs(ours[key] - theirs[key]) for key in names)
        line += f" {theirs['seconds']:10.4f} {theirs['memory']:9.1f} {theirs['seconds'] / ours['seconds']:8.1f}×"
        line += f" {apart:10.1e}"
    print(line, flush=True)


def main() -> None:
    print(f"theirs searches with {'faiss' if find_spec('faiss') else 'torch (CustomKNN)'}; seconds of CPU, MiB")
    print(f"{'':>28} {'ours (s)':>10} {'MiB':>9} {'theirs (s)':>10} {'MiB':>9} {'ratio':>9} {'apart by':>10}")
    for name in LOSSES:
        for b in BATCHES:
            enough_memory = name != "nt_xent" or b < 512  # theirs holds several matrices of |P| × |N|: gigabytes
            row(f"{name} B={b}", "loss", (name, b), rivals=enough_memory)
    for case in METRICS:
        row("{:,} × {}, classes of {}".format(*case), "metric", case)
    for case in LARGE:
        row("{:,} × {}, classes of {}".format(*case), "metric", case, rivals=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--case")
    given = parser.parse_args().case
    print(json.dumps(measure(*json.loads(given)))) if given else main()
