r"""Debiased HSIC of many layers at once, one minibatch at a time, in memory that does not grow with the data set.

Each layer of each batch leaves an :class:`Imprint`, its U-centred Gram matrix :math:`K^U` as a vector; the inner
products of all layers with all layers are one matrix product, and only their sums over batches are kept.

Paper: Nguyen, Raghu, Kornblith 2021, arXiv:2010.15327, equation 3 and section 3.1.
Differs from the paper: U-centred form (the same number with less cancellation); batches of unequal size are pooled with
the weights n_b (n_b − 3), under which the sums of the paper become sums of inner products.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import NamedTuple

import torch
import torch.distributed as distributed
from jaxtyping import Float
from torch import Tensor

from torchstone.similarity.hsic import u_center
from torchstone.similarity.kernels import gaussian
from torchstone.similarity.metrics import find_metric

BLOCKS = 64  # the jackknife leaves out one of at most so many groups of batches, so its memory is bounded too
SMALLEST_BATCH = 4  # HSIC without bias is defined from four examples on


class Imprint(NamedTuple):
    """What one layer leaves of one batch.

    Args:
        rows: examples, n.
        features: d.
        packed: for each kernel, the part of its U-centred Gram matrix above the diagonal, over ``scale``; none for
            fewer than four rows.
        scale: for each kernel, what the vector was divided by, a 0-d tensor.
        size: how large the features are, a 0-d tensor: NaN or infinite when one of them is, or their squares.
        kept: the features themselves, where a metric needs all examples at once.
    """

    rows: int
    features: int
    packed: Mapping[str, Float[Tensor, " pairs"]]
    scale: Mapping[str, Float[Tensor, ""]]
    size: Float[Tensor, ""]
    kept: Float[Tensor, "n d"] | None = None


def imprint(x: Float[Tensor, "n d"], kernels: Sequence[str], *, keep: bool = False) -> Imprint:
    """The imprint of one layer's features (float32 or float64) for the kernels ``linear`` and ``rbf:<fraction>``."""
    n, d = x.shape
    packed, scale = {}, {}
    size = x.abs().amax() if not kernels else x.new_zeros(())
    if n >= SMALLEST_BATCH and kernels:
        gram, size, constant = _gram(x)
        for kernel in kernels:
            one = kernel == "linear"
            centred = u_center(gram if one else _rbf(x, float(kernel.partition(":")[2])))
            rounding = n * torch.finfo(centred.dtype).eps  # all that is left where all examples are equally alike
            nothing = constant | (centred.abs().amax() <= rounding)
            above = centred.to(x.dtype).flatten().index_select(0, _above(n, x.device))
            packed[kernel] = above.masked_fill_(nothing, 0.0)
            scale[kernel] = size if one else torch.ones_like(size)
    return Imprint(n, d, packed, scale, size, torch.empty_like(x, device="cpu").copy_(x) if keep else None)


class Stack(NamedTuple):
    """The imprints of a model's layers on one batch, for one kernel: unit vectors, and the norms that they had."""

    directions: Float[Tensor, "layers pairs"]
    norms: Float[Tensor, " layers"]


def stack(imprints: Sequence[Imprint], kernel: str) -> Stack:
    """Put the layers' vectors under each other; norms come as float64 on the CPU."""
    dtype = max((each.packed[kernel].dtype for each in imprints), key=lambda kind: kind.itemsize)
    rows = torch.stack([each.packed[kernel].to(dtype) for each in imprints])
    lengths = torch.linalg.vector_norm(rows, dim=1)
    rows /= lengths.clamp(min=torch.finfo(dtype).tiny)[:, None]
    scales = torch.stack([each.scale[kernel] for each in imprints])
    return Stack(rows, lengths.cpu().double() * scales.cpu().double() * 2**0.5)


@dataclass
class HsicSums:
    r"""Sums over batches of :math:`\langle K^U, L^U \rangle` for all pairs of layers, kept apart in ``BLOCKS`` blocks.

    Args:
        cross: of layer i of A with layer j of B, (blocks, L_A, L_B), float64.
        own_a: of layer i of A with itself, (blocks, L_A).
        own_b: of layer j of B with itself, (blocks, L_B).
        weight: of n_b (n_b − 3), (blocks,).
    """

    cross: Float[Tensor, "blocks l_a l_b"]
    own_a: Float[Tensor, "blocks l_a"]
    own_b: Float[Tensor, "blocks l_b"]
    weight: Float[Tensor, " blocks"]

    @classmethod
    def zeros(cls, layers_a: int, layers_b: int) -> "HsicSums":
        """No batch yet."""
        shapes = (BLOCKS, layers_a, layers_b), (BLOCKS, layers_a), (BLOCKS, layers_b), (BLOCKS,)
        return cls(*(torch.zeros(shape, dtype=torch.float64) for shape in shapes))

    def add(self, batch: int, rows: int, a: Stack, b: Stack, same: Tensor | None = None) -> None:
        """Add a batch: its number, its size, its two stacks; ``same`` marks pairs that are one and the same layer."""
        dtype = torch.promote_types(a.directions.dtype, b.directions.dtype)
        with exact_products(a.directions.device):
            cosines = a.directions.to(dtype) @ b.directions.to(a.directions.device, dtype).mT
        cosines = cosines.cpu().double()
        if same is not None:
            cosines.masked_fill_(same, 1.0)
        block = batch % BLOCKS
        self.cross[block] += cosines * (a.norms[:, None] * b.norms)
        self.own_a[block] += a.norms * a.norms
        self.own_b[block] += b.norms * b.norms
        self.weight[block] += rows * (rows - 3)

    def over_processes(self, device: torch.device) -> "HsicSums":
        """The sums of all processes together; ``device`` is where their backend communicates."""
        copies = [part.to(device, copy=True) for part in self.parts()]
        for copied in copies:
            distributed.all_reduce(copied)
        return HsicSums(*(copied.cpu() for copied in copies))

    def pooled(self) -> "HsicSums":
        """The sums over all blocks, without the block dimension."""
        return HsicSums(*(_total(part) for part in self.parts()))

    def leave_one_out(self) -> "HsicSums":
        """The sums without block k, for each block k that has batches."""
        filled = self.weight > 0
        return HsicSums(*(_total(part) - part[filled] for part in self.parts()))

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The four tensors."""
        return self.cross, self.own_a, self.own_b, self.weight

    def cka(self) -> Float[Tensor, "*blocks l_a l_b"]:
        r""":math:`\sum\langle K,L\rangle / \sqrt{\sum\langle K,K\rangle \sum\langle L,L\rangle}`, or nan for 0/0."""
        lengths = (self.own_a[..., :, None] * self.own_b[..., None, :]).sqrt()
        return (self.cross / lengths).clamp(-1.0, 1.0)  # Cauchy-Schwarz holds up to rounding

    def hsic(self) -> Float[Tensor, "*blocks l_a l_b"]:
        r""":math:`\sum\langle K, L\rangle / \sum n_b (n_b - 3)`."""
        return self.cross / self.weight[..., None, None]


def _total(part: Tensor) -> Tensor:
    """The sum over blocks, block after block: in an order of its own, a self-comparison would miss 1 by a rounding."""
    return reduce(torch.add, part.unbind())


def jackknife_error(left_out: Float[Tensor, "k ..."]) -> Float[Tensor, "..."]:
    r"""The jackknife standard error of a statistic from its values without one of k groups each.

    .. math:: \sqrt{\tfrac{k-1}{k} \sum_i (\theta_{(i)} - \bar\theta)^2}

    Example:
        >>> sample = torch.tensor([1.0, 2.0, 4.0, 7.0])
        >>> means_without_one = (sample.sum() - sample) / 3
        >>> torch.isclose(jackknife_error(means_without_one), sample.std() / 4**0.5)
        tensor(True)
    """
    k = left_out.shape[0]
    return ((k - 1) / k * (left_out - left_out.mean(0)).square().sum(0)).sqrt()


def jackknife_interval(
    value: Float[Tensor, "..."],
    left_out: Float[Tensor, "k ..."],
    *,
    bounds: tuple[float, float] = (-float("inf"), float("inf")),
) -> tuple[Float[Tensor, "..."], Float[Tensor, "..."]]:
    """The 95 % interval around ``value``: Student's t with k − 1 degrees of freedom times the jackknife error.

    It ends at ``bounds``, beyond which the statistic cannot be: for two groups t is 12.7.
    """
    from scipy.special import stdtrit

    half = float(stdtrit(left_out.shape[0] - 1, 0.975)) * jackknife_error(left_out)
    return (value - half).clamp(*bounds), (value + half).clamp(*bounds)


def streamed_kernel(metric: str) -> str | None:
    """The kernel of a metric that needs no more than :class:`HsicSums`; ``None`` for every other metric."""
    found = find_metric(metric)
    if found.bandwidth is not None:
        return f"rbf:{found.bandwidth}"
    return "linear" if found.estimator == "debiased" else None


@contextmanager
def exact_products(device: torch.device) -> Iterator[None]:
    """Matrix products in full precision, whatever autocast and TF32 are set to."""
    precision = torch.get_float32_matmul_precision()
    with torch.autocast(device.type, enabled=False):
        if device.type == "cuda":
            torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            if device.type == "cuda":
                torch.set_float32_matmul_precision(precision)


def _gram(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The Gram matrix of centred features, over its mean diagonal entry; that entry; whether the layer is constant."""
    with exact_products(x.device):
        mean = x.mean(0)
        centred = x - mean
        gram = centred @ centred.mT
    size = gram.diagonal().mean()
    noise = 16 * torch.finfo(x.dtype).eps  # how far rounding may move a constant from its mean, relative to it
    constant = size <= noise**2 * mean.square().sum()
    return gram.div_(size.masked_fill(constant, 1.0)), size, constant


def _rbf(x: Tensor, fraction: float) -> Tensor:
    """The Gaussian kernel within the batch, in float64: one outlier would cost the others' digits."""
    points = x.double()
    return gaussian(points - points.mean(0), fraction)


@lru_cache(maxsize=8)
def _above(n: int, device: torch.device) -> Tensor:
    """The places above the diagonal in a flattened (n, n) matrix."""
    places: Tensor = torch.triu_indices(n, n, 1)
    return (places[0] * n + places[1]).to(device)
