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
REPEATS = 3  # the fastest counts; torch_cka, which takes long, runs once


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


def forward(a: nn.Module, b: nn.Module, batches: list[Tensor]) -> None:
    """The forward passes, with hooks that do nothing."""
    layers = [model.get_submodule(name) for model in (a, b) for name in layers_of(model)]
    handles = [layer.register_forward_hook(lambda *_: None) for layer in layers]
    with torch.inference_mode():
        for batch in batches:
            a(batch), b(batch)
    for handle in handles:
        handle.remove()


def bound(a: nn.Module, b: nn.Module, batches: list[Tensor]) -> float:
    """CPU-seconds of the products alone, one matrix for each width standing for all layers of that width."""
    widths: list[int] = []
    layers = [model.get_submodule(name) for model in (a, b) for name in layers_of(model)]
    handles = [layer.register_forward_hook(lambda _m, _i, output: widths.append(output[0].numel())) for layer in layers]
    forward(a, b, [batches[0][:4]])
    for handle in handles:
        handle.remove()
    features = {d: torch.randn(BATCH, d) for d in set(widths)}
    left, right = (torch.randn(len(layers_of(model)), BATCH * (BATCH - 1) // 2) for model in (a, b))
    start = time.process_time()
    for _ in batches:
        for d in widths:
            features[d] @ features[d].mT
        left @ right.mT
    return time.process_time() - start


METHODS: dict[str, Callable[[nn.Module, nn.Module, list[Tensor]], Tensor]] = {
    "ours": ours,
    "torch_cka": torch_cka,
    "double": double,
}


def seconds(method: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    start = time.process_time()
    result = method(*arguments)
    return time.process_time() - start, result


def measure(name: str, method: str) -> None:
    """In a process of its own: what one method takes, and what the passes and products take meanwhile, as JSON."""
    torch.set_num_threads(1)
    a, b, batches = case(name)
    ours(a, b, [torch.randn(16, 3, 32, 32)])  # imports, first calls
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first, matrix = seconds(METHODS[method], a, b, batches)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    result = {"megabytes": peak / 1024, "nan": int(matrix.isnan().sum()), "matrix": matrix.nan_to_num().tolist()}
    if method != "double":
        more = REPEATS - 1 if method == "ours" else 0
        passes = min(seconds(forward, a, b, batches)[0] for _ in range(REPEATS))
        products = min(bound(a, b, batches) for _ in range(REPEATS))
        best = min([first, *(seconds(METHODS[method], a, b, batches)[0] for _ in range(more))])
        result |= {"forward": passes, "bound": products, "beyond": best - passes}
    print(json.dumps(result))


def measured(name: str, method: str) -> dict[str, Any]:
    command = [sys.executable, __file__, name, method]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    print(f"{BATCHES} batches of {BATCH} images of 32×32, one thread, torch {torch.__version__}")
    print("CPU-seconds; those of ours and torch_cka are beyond the forward passes")
    print(
        f"{'case':16} {'forward':>9} {'bound':>9} {'ours':>9} {'torch_cka':>9} {'ours/bound':>11} "
        f"{'torch_cka/ours':>15}"
    )
    for name, title in (("tiny", "Tiny-10, 9×9"), ("deep", "plain, 50×50")):
        mine, peer, exact = (measured(name, method) for method in METHODS)
        print(
            f"{title:16} {mine['forward']:8.2f}s {mine['bound']:8.2f}s {mine['beyond']:8.2f}s {peer['beyond']:8.2f}s "
            f"{mine['beyond'] / mine['bound']:10.2f}× {peer['beyond'] / mine['beyond']:14.1f}×"
        )
        ratio = peer["megabytes"] / mine["megabytes"]
        print(
            f"{'':16} peak memory, forward included: ours {mine['megabytes']:.0f} MB, "
            f"torch_cka {peer['megabytes']:.0f} MB ({ratio:.1f}×)"
        )
        errors = [(torch.tensor(each["matrix"]) - torch.tensor(exact["matrix"])).abs().max() for each in (mine, peer)]
        print(f"{'':16} largest error against double precision: ours {errors[0]:.0e}, torch_cka {errors[1]:.0e}")
    nan = {method: measured("offset", method)["nan"] for method in ("ours", "torch_cka")}
    theirs = "refuses the result for its NaN" if nan["torch_cka"] == 1 else f"{nan['torch_cka']} NaN"
    print(f"{'large mean':16} inputs with mean 3000: ours {nan['ours']} NaN, torch_cka {theirs}")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        measure(*sys.argv[1:])
    else:
        main()
