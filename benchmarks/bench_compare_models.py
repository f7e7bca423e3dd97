"""All layers of one network against all of another: ours against torch_cka and against the matrix products alone.

Two pairs of networks (two Tiny-10; two plain nets with 50 layers), the same batches for both. Each measurement has a
process of its own on one thread. CPU-seconds are those of the process beyond a forward pass with hooks that do nothing;
the bound is the time of the products that any Gram method needs: the Gram matrices, and one product of stacked upper
triangles. A third case, inputs with a large mean, looks at who gives NaN.
"""

import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

BATCH, BATCHES = 256, 2
REPEATS = {"forward": 3, "ours": 3, "bound": 3}  # the fastest counts


def tiny(seed: int) -> nn.Module:
    from torchstone.nets import TINY_10, plain

    return plain(TINY_10, 10, seed=seed)


def deep(seed: int) -> nn.Module:
    """Fifty blocks of 16 channels on maps of 16×16."""
    blocks = [nn.Sequential(nn.Conv2d(16 if i else 3, 16, 3, padding=1), nn.ReLU()) for i in range(50)]
    source = torch.Generator().manual_seed(seed)
    for block in blocks:
        nn.init.kaiming_normal_(block[0].weight, generator=source)
        nn.init.zeros_(block[0].bias)
    return nn.Sequential(nn.AvgPool2d(2), *blocks)


def layers_of(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_children() if name != "logits"][-50:]


def case(name: str) -> tuple[nn.Module, nn.Module, list[Tensor]]:
    make = deep if name == "deep" else tiny
    offset = 3000.0 if name == "offset" else 0.0
    a, b = (make(seed).eval().requires_grad_(False) for seed in (1, 2))
    source = torch.Generator().manual_seed(0)
    return a, b, [torch.randn(BATCH, 3, 32, 32, generator=source) + offset for _ in range(BATCHES)]


def ours(a: nn.Module, b: nn.Module, batches: list[Tensor]) -> Tensor:
    from torchstone.similarity import compare_models

    return compare_models(a, b, batches, layers_of(a), layers_of(b)).matrix()


def double(a: nn.Module, b: nn.Module, batches: list[Tensor]) -> Tensor:
    """Ours in double precision: what the errors are measured against."""
    return ours(a.double(), b.double(), [batch.double() for batch in batches])


def torch_cka(a: nn.Module, b: nn.Module, batches: list[Tensor]) -> Tensor:
    from torch.utils.data import DataLoader, TensorDataset
    from torch_cka import CKA

    warnings.simplefilter("ignore")
    peer = CKA(a, b, "a", "b", layers_of(a), layers_of(b), device="cpu")
    try:
        peer.compare(DataLoader(TensorDataset(torch.cat(batches)), batch_size=BATCH))
    except AssertionError:  # its own check for NaN
        return torch.full((1, 1), torch.nan)
    return peer.export()["CKA"]


def forward(a: nn.Module, b: nn.Module, batches: list[Tensor]) -> Tensor:
    layers = [model.get_submodule(name) for model in (a, b) for name in layers_of(model)]
    handles = [layer.register_forward_hook(lambda *_: None) for layer in layers]
    with torch.inference_mode():
        for batch in batches:
            a(batch), b(batch)
    for handle in handles:
        handle.remove()
    return torch.zeros(1, 1)


def bound(a: nn.Module, b: nn.Module, batches: list[Tensor]) -> Tensor:
    """The products alone, one matrix for each width standing for all layers of that width."""
    shapes: list[int] = []
    handles = [
        model.get_submodule(name).register_forward_hook(lambda _m, _i, output: shapes.append(output[0].numel()))
        for model in (a, b)
        for name in layers_of(model)
    ]
    with torch.inference_mode():
        a(batches[0][:4]), b(batches[0][:4])
    for handle in handles:
        handle.remove()
    features = {d: torch.randn(BATCH, d) for d in set(shapes)}
    left, right = (torch.randn(len(layers_of(model)), BATCH * (BATCH - 1) // 2) for model in (a, b))
    start = time.process_time()
    for _ in range(len(batches)):
        for d in shapes:
            features[d] @ features[d].mT
        left @ right.mT
    print(json.dumps({"products": time.process_time() - start}), file=sys.stderr)
    return torch.zeros(1, 1)


METHODS: dict[str, Callable[[nn.Module, nn.Module, list[Tensor]], Tensor]] = {
    "forward": forward,
    "ours": ours,
    "torch_cka": torch_cka,
    "bound": bound,
    "double": double,
}


def measure(name: str, method: str) -> None:
    """In a process of its own: CPU-seconds, growth of the peak memory and the number of NaN, as JSON on stdout."""
    torch.set_num_threads(1)
    a, b, batches = case(name)
    METHODS["ours"](a, b, [torch.randn(16, 3, 32, 32)])  # warm up
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = float("inf")
    for _ in range(REPEATS.get(method, 1)):
        start = time.process_time()
        matrix = METHODS[method](a, b, batches)
        seconds = min(seconds, time.process_time() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"seconds": seconds, "megabytes": peak / 1024, "nan": int(matrix.isnan().sum())}))
    print(json.dumps({"matrix": matrix.nan_to_num(nan=-9.0).tolist()}))


def measured(name: str, method: str) -> dict[str, Any]:
    command = [sys.executable, __file__, name, method]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [*done.stdout.splitlines(), *(line for line in done.stderr.splitlines() if line.startswith("{"))]
    return {key: value for line in lines if line.startswith("{") for key, value in json.loads(line).items()}


def main() -> None:
    print(f"{BATCHES} batches of {BATCH} images of 32×32, one thread, torch {torch.__version__}")
    print("CPU-seconds; those of ours and torch_cka are beyond the forward passes")
    print(
        f"{'case':16} {'forward':>9} {'bound':>9} {'ours':>9} {'torch_cka':>9} {'ours/bound':>11} "
        f"{'torch_cka/ours':>15}"
    )
    for name, title in (("tiny", "Tiny-10, 9×9"), ("deep", "plain, 50×50")):
        results = {method: measured(name, method) for method in METHODS}
        base = results["forward"]["seconds"]
        mine, peer = (results[method]["seconds"] - base for method in ("ours", "torch_cka"))
        products = results["bound"]["products"]
        print(
            f"{title:16} {base:8.2f}s {products:8.2f}s {mine:8.2f}s {peer:8.2f}s {mine / products:10.2f}× "
            f"{peer / mine:14.1f}×"
        )
        memory = {method: results[method]["megabytes"] for method in ("forward", "ours", "torch_cka")}
        print(
            f"{'':16} peak memory: forward {memory['forward']:.0f} MB, ours {memory['ours']:.0f} MB, "
            f"torch_cka {memory['torch_cka']:.0f} MB ({memory['torch_cka'] / memory['ours']:.1f}×)"
        )
        matrix = {method: torch.tensor(results[method]["matrix"]) for method in ("ours", "torch_cka", "double")}
        errors = {method: (matrix[method] - matrix["double"]).abs().max() for method in ("ours", "torch_cka")}
        print(f"{'':16} largest error: ours {errors['ours']:.0e}, torch_cka {errors['torch_cka']:.0e}")
    nan = {method: measured("offset", method)["nan"] for method in ("ours", "torch_cka")}
    theirs = "refuses the result for its NaN" if nan["torch_cka"] == 1 else f"{nan['torch_cka']} NaN"
    print(f"{'large mean':16} inputs with mean 3000: ours {nan['ours']} NaN, torch_cka {theirs}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
    else:
        main()
