"""A step of each rule beside torch's three implementations of it: milliseconds, and ours over torch's fastest.

All of them take turns in one process, and the least of many rounds counts. Where torch lacks the rule, torch's fused
Adam stands beside it. Two runs of one thing differ by some percent, so a ratio of 1.05 says no more than "equal".
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchstone.optim import AMSGrad, create

SHAPES = {
    "6 tensors, 0.33M": [(400, 784), (400,), (40, 400), (40,), (10, 40), (10,)],
    "160 small, 0.58M": [(60, 60), (60,)] * 80,
    "8 x 1024 x 1024": [(1024, 1024)] * 8,
}
TORCH = {
    "sgd": (torch.optim.SGD, {}),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}),
    "nesterov": (torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    "adagrad": (torch.optim.Adagrad, {}),
    "adadelta": (torch.optim.Adadelta, {}),
    "rmsprop": (torch.optim.RMSprop, {}),
    "rmsprop_momentum": (torch.optim.RMSprop, {"momentum": 0.9}),
    "adam": (torch.optim.Adam, {}),
    "nadam": (torch.optim.NAdam, {}),
    "amsgrad": (torch.optim.Adam, {"amsgrad": True}),
}
LACKING = ("adamnc", "amsgrad, exact")
SWITCHES = {"for": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}


def parameters(shapes: list[tuple[int, ...]]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    tensors = [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]
    for tensor in tensors:
        tensor.grad = torch.randn(tensor.shape, generator=generator)
    return tensors


def ours(name: str, shapes: list[tuple[int, ...]]) -> Optimizer:
    params = parameters(shapes)
    return AMSGrad(params, lr=1e-6) if name == "amsgrad, exact" else create(name, params, lr=1e-6)


def rivals(name: str, shapes: list[tuple[int, ...]]) -> dict[str, Optimizer]:
    """Torch's optimizers for the rule; its fused Adam where it has none."""
    if name in LACKING:
        return {"fused": torch.optim.Adam(parameters(shapes), lr=1e-6, amsgrad="amsgrad" in name, fused=True)}
    kind, hyper = TORCH[name]
    fused = name not in ("adadelta", "nadam") and not name.startswith("rmsprop")
    return {
        impl: kind(parameters(shapes), lr=1e-6, **hyper, **switch)
        for impl, switch in SWITCHES.items()
        if fused or impl != "fused"
    }


def least(steps: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Milliseconds of the fastest of ``rounds`` calls of each, in turns, each as often first; two seconds in all."""
    for step in steps.values():
        step()
    best = dict.fromkeys(steps, float("inf"))
    names, end = [*steps], time.perf_counter() + 2
    for _ in range(rounds):
        for name in names:
            start = time.perf_counter()
            steps[name]()
            best[name] = min(best[name], 1e3 * (time.perf_counter() - start))
        names = [*names[1:], names[0]]
        if time.perf_counter() > end:
            break
    return best


def row(name: str, shapes: list[tuple[int, ...]], rounds: int) -> str:
    optimizers = {"ours": ours(name, shapes), **rivals(name, shapes)}
    best = least({impl: optimizer.step for impl, optimizer in optimizers.items()}, rounds)
    fastest = min(value for impl, value in best.items() if impl != "ours")
    cells = "".join(f"{best[impl]:9.3f}" if impl in best else f"{'-':>9}" for impl in ("ours", *SWITCHES))
    return f"{name:18}{cells}{best['ours'] / fastest:16.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50, help="steps of each, of which the fastest counts")
    parser.add_argument("--rules", nargs="*", default=[*TORCH, *LACKING])
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    arguments = parser.parse_args()
    for threads in arguments.threads:
        torch.set_num_threads(threads)
        for title, shapes in SHAPES.items():
            print(f"\n{title}; {threads} thread{'s' * (threads > 1)}; ms per step")
            print(f"{'rule':18}{'ours':>9}{'for':>9}{'foreach':>9}{'fused':>9}{'ours / fastest':>16}")
            for name in arguments.rules:
                print(row(name, shapes, arguments.rounds), flush=True)


if __name__ == "__main__":
    main()
