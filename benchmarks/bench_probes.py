"""Logistic regression of few-shot episodes, all at once, against scikit-learn's in a loop; and the memory it takes.

Both are given the same unit vectors in float32 and take turns; the ratio is of their least CPU-seconds, since on a busy
machine the clock on the wall measures the neighbours, and its own ratio stands beside it. scikit-learn stops at its
usual tolerance, ours at 1e-6 in a stricter norm. "difference" is of coefficients, to scikit-learn at tolerance 1e-9.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.functional import normalize

from torchstone.probes import logistic_regression

EPISODES, D = 600, 640
SETTINGS = [(5, 5, 1.0), (5, 1, 1.0), (20, 1, 1.0)]  # way, shot, C
MEMORY = (600, 2400, 9600)
ROUNDS, TURNS = 2, 4


def episodes(e: int, way: int, shot: int) -> tuple[Tensor, Tensor]:
    """Non-negative unit vectors around one centre a class, as an encoder with ReLU gives them."""
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(e, way, 1, D, generator=generator)
    x = (centres / 2 + torch.randn(e, way, shot, D, generator=generator)).relu_().flatten(1, 2)
    return normalize(x, dim=-1), torch.arange(way).repeat_interleave(shot).expand(e, -1)


def loop(x: Tensor, y: Tensor, c: float) -> None:
    for one, labels in zip(x.numpy(), y.numpy(), strict=True):
        LogisticRegression(C=c, max_iter=1000).fit(one, labels)


def cost(function: Callable[[Tensor, Tensor, float], object], x: Tensor, y: Tensor, c: float) -> Tensor:
    """CPU-seconds and seconds on the wall of one call."""
    start = time.process_time(), time.perf_counter()
    function(x, y, c)
    return torch.tensor([time.process_time() - start[0], time.perf_counter() - start[1]])


def together(x: Tensor, y: Tensor, c: float) -> None:
    logistic_regression(x, y, c=c)


def difference(x: Tensor, y: Tensor, c: float) -> float:
    """The largest difference of coefficients over some episodes."""
    fit = logistic_regression(x[:20], y[:20], c=c)
    exact = LogisticRegression(C=c, tol=1e-9, max_iter=10_000)
    found = [
        torch.from_numpy(exact.fit(a.double().numpy(), b.numpy()).coef_) for a, b in zip(x[:20], y[:20], strict=True)
    ]
    return float((torch.stack(found) - fit.weight).abs().max())


def compare(threads: int) -> None:
    torch.set_num_threads(threads)
    for way, shot, c in SETTINGS:
        x, y = episodes(EPISODES, way, shot)
        logistic_regression(x[:10], y[:10], c=c)
        ours, theirs = [], []
        with threadpool_limits(threads):
            for _ in range(ROUNDS):
                ours += [cost(together, x, y, c) for _ in range(TURNS)]
                theirs.append(cost(loop, x, y, c))
        (cpu, wall), (peer_cpu, peer_wall) = (torch.stack(costs).amin(0).tolist() for costs in (ours, theirs))
        print(
            f"{threads:>7} {way:>4} {shot:>5} {c:>5.0f} {cpu:>9.3f} {peer_cpu:>12.3f} {peer_cpu / cpu:>6.1f} "
            f"{peer_wall / wall:>14.1f} {difference(x, y, c):>11.1e}",
            flush=True,
        )


def peak() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(e: int) -> None:
    """How much the peak of this process grows over its features, which are made by a smaller peak."""
    x, y = torch.zeros(e, 25, D), torch.arange(5).repeat_interleave(5).expand(e, -1)
    x += torch.rand(e, 25, 1)
    logistic_regression(x[:1], y[:1])
    before = peak()
    logistic_regression(x, y)
    print(f"{e:8d} {x.nbytes / 2**20:14.0f} {peak() - before:11.0f}", flush=True)


def main() -> None:
    print(f"{EPISODES} episodes, d = {D}")
    print("threads  way  shot     C  ours (s)  sklearn (s)  ratio  ratio of walls  difference")
    for threads in (1, 2):
        compare(threads)
    print("\nepisodes  features (MB)  extra (MB)   of 5 ways, 5 shots")
    for e in MEMORY:
        subprocess.run([sys.executable, __file__, str(e)], check=True)


if __name__ == "__main__":
    memory(int(sys.argv[1])) if len(sys.argv) > 1 else main()
