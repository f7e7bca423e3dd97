"""Exact spectra against the FFT of a grid: CPU-seconds for an error, and linear regions a second."""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from torchstone.spectral import relu_regions_1d, relu_regions_2d

PERIODS = 64  # frequencies 1 ... 64, on the plane 1 ... 8 a side
ROUNDS = 3
CASES = [  # inputs, width, hidden layers, sides of the grids
    (1, 64, 4, (2**12, 2**16, 2**19)),
    (2, 16, 2, (2**7, 2**10)),
    (2, 32, 3, (2**7, 2**10)),
]


def network(d: int, width: int, depth: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for fan_in, fan_out in [(d, width), *[(width, width)] * (depth - 1), (width, 1)]:
            layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
            nn.init.kaiming_normal_(layers[-2].weight)
            nn.init.normal_(layers[-2].bias, std=0.3)
    return nn.Sequential(*layers[:-1]).double().requires_grad_(False)


def cost(function: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """The least CPU-seconds of a few calls, and the answer."""
    seconds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        answer = function()
        seconds.append(time.process_time() - start)
    return min(seconds), answer


def wanted(d: int) -> Tensor:
    """Whole periods on [0, 1]."""
    if d == 1:
        return torch.arange(1, PERIODS + 1)[:, None]
    return torch.cartesian_prod(torch.arange(1, 9), torch.arange(1, 9))


def exact(net: nn.Module, d: int) -> Tensor:
    k = 2 * torch.pi * wanted(d).double()
    return (
        relu_regions_1d(net, (0, 1)).fourier(k[:, 0]) if d == 1 else relu_regions_2d(net, ([0, 0], [1, 1])).fourier(k)
    )


def by_grid(net: nn.Module, d: int, n: int) -> Tensor:
    """The FFT of the values at the midpoints of an n-sided grid: an error that falls like 1/n²."""
    axis = (torch.arange(n).double() + 0.5) / n
    values = net(torch.cartesian_prod(*[axis] * d).view(-1, d)).view([n] * d)
    nu = wanted(d)
    return torch.fft.fftn(values)[tuple(nu.T)] / n**d * torch.exp(-1j * torch.pi * nu.sum(1) / n)


def main() -> None:
    torch.set_num_threads(1)
    print(
        f"{'network':>14} {'regions':>8} {'exact (s)':>10} {'grid':>9} {'grid (s)':>9} {'ratio':>7} {'its error':>10}"
    )
    for d, width, depth, grids in CASES:
        net = network(d, width, depth)
        pieces = relu_regions_1d(net, (0, 1)) if d == 1 else relu_regions_2d(net, ([0, 0], [1, 1]))
        seconds, truth = cost(lambda net=net, d=d: exact(net, d))  # type: ignore[misc]
        for n in grids:
            other, answer = cost(lambda net=net, d=d, n=n: by_grid(net, d, n))  # type: ignore[misc]
            error = float((answer - truth).abs().max() / truth.abs().max())
            name, ratio = "-".join([str(d), *[str(width)] * depth, "1"]), other / seconds
            print(f"{name:>14} {pieces.regions:8d} {seconds:10.3f} {n:9d} {other:9.3f} {ratio:7.1f} {error:10.1e}")


if __name__ == "__main__":
    main()
