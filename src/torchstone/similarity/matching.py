"""Layer identification: does an index find a layer's counterpart in a network that was trained from another start?"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import comb
from typing import Any, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from torchstone.similarity.capture import Select
from torchstone.similarity.compare import compare_pairs
from torchstone.similarity.layers import Layers
from torchstone.similarity.metrics import find_metric
from torchstone.similarity.reductions import Reduce
from torchstone.similarity.streaming import jackknife_error


@dataclass(frozen=True)
class LayerMatch:
    """How often layers were identified, over all ordered pairs of networks.

    Args:
        accuracy: the share of layers found, over all layers and ordered pairs.
        per_layer: the same for each layer, (L,).
        standard_error: of ``accuracy``, by the jackknife over networks; nan for two networks.
        per_layer_standard_error: of ``per_layer``, (L,).
        leave_one_out: the accuracy without network k, for each k, (K,); nan for two networks.
        within_one: the share of layers found up to one place.
        kendall_tau: Kendall's τ-b between a layer's place and that of the layer found, mean over ordered pairs of
            networks. Layers for which none is found (a tie, or nan) are missed: the τ-b of the others is multiplied by
            the share of pairs of layers that they make. It is 0 where the same layer is found for all.
        chance: the accuracy of guessing, 1/L.
    """

    accuracy: float
    per_layer: Float[Tensor, " l"]
    standard_error: float
    per_layer_standard_error: Float[Tensor, " l"]
    leave_one_out: Float[Tensor, " k"]
    within_one: float
    kendall_tau: float
    chance: float

    def __str__(self) -> str:
        layers = " ".join(f"{value:.2f}" for value in self.per_layer.tolist())
        return (
            f"{self.accuracy:.1%} of layers identified (± {self.standard_error:.1%} jackknife s.e., chance "
            f"{self.chance:.1%}); within one {self.within_one:.1%}; Kendall τ {self.kendall_tau:.2f}; by layer {layers}"
        )


def identify(
    matrices: Mapping[tuple[int, int], Float[Tensor, "l l"]], networks: int, *, symmetrise: bool = False
) -> LayerMatch:
    r"""Score layer identification from similarity matrices.

    For each ordered pair (i, j) of networks, layer l of i is found if :math:`\arg\max_m S_{ij}[l, m] = l` and no other
    m reaches the maximum: a tie is a miss, and so is a layer whose similarities are nan.

    Args:
        matrices: :math:`S_{ij}`, (L, L), rows the layers of i, columns those of j, by (i, j). Where only one of (i, j)
            and (j, i) is given, the other is its transpose.
        networks: their number K.
        symmetrise: replace :math:`S_{ij}` by :math:`S_{ij} + S_{ji}^\top`, as the paper does for asymmetric indexes;
            both must be given.

    Returns:
        A :class:`LayerMatch`.

    Raises:
        ValueError: fewer than two networks or layers, a pair missing, or a matrix that is not (L, L).

    Example:
        >>> print(identify({(0, 1): torch.eye(3)}, networks=2).accuracy)
        1.0

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 6.1 and table 2.
    Differs from the paper: nothing; the accuracy within one place and Kendall's τ are additions.
    """
    if networks < 2:
        raise ValueError(f"`networks` must be at least 2, got {networks}: there is no pair to identify layers in.")
    ordered = {pair: _matrix(matrices, pair, symmetrise=symmetrise) for pair in permutations(range(networks), 2)}
    _check_shapes(ordered)
    found = {pair: _found(matrix) for pair, matrix in ordered.items()}
    layers = torch.arange(len(next(iter(found.values()))))
    hits = {pair: columns == layers for pair, columns in found.items()}
    near = [((columns - layers).abs() <= 1) & (columns >= 0) for columns in found.values()]
    left_out = torch.stack([_mean_without(hits, network) for network in range(networks)])
    per_layer = _mean(list(hits.values()))
    return LayerMatch(
        accuracy=float(per_layer.mean()),
        per_layer=per_layer,
        standard_error=float(jackknife_error(left_out.mean(1))),
        per_layer_standard_error=jackknife_error(left_out),
        leave_one_out=left_out.mean(1),
        within_one=float(_mean(near).mean()),
        kendall_tau=sum(_kendall_tau(columns) for columns in found.values()) / len(ordered),
        chance=1 / len(layers),
    )


def match_layers(
    models: Sequence[nn.Module],
    loader: Iterable[Any] | Tensor,
    metric: str = "cka",
    layers: Layers = None,
    *,
    reduce: Reduce = "flatten",
    select: Select = None,
    device: torch.device | str | None = None,
    max_batches: int | None = None,
    batch_size: int = 256,
    allow_degenerate: bool = False,
) -> LayerMatch:
    """Identify the layers of networks of one architecture in each other, in one pass over the data.

    Indexes that change when their inputs change places are symmetrised as S + Sᵀ, as in the paper.

    Args:
        models: two networks or more with the same layers; the jackknife needs three.
        loader: as in :func:`compare_models`; every network gets the same batch.
        metric: a name of :func:`torchstone.similarity.indexes`.
        layers: which layers, as in :func:`compare_models`; for an accuracy that compares with the paper's, name the
            convolution blocks and the pooled features, and leave the logits out.
        reduce: as in :func:`compare_models`.
        select: as in :func:`compare_models`.
        device: as in :func:`compare_models`.
        max_batches: as in :func:`compare_models`.
        batch_size: as in :func:`compare_models`.
        allow_degenerate: as in :func:`compare_models`.

    Returns:
        A :class:`LayerMatch`.

    Raises:
        ValueError: fewer than two models, or models whose layers differ in name; and as :func:`compare_models`.

    Paper: Kornblith, Norouzi, Lee, Hinton 2019, arXiv:1905.00414, section 6.1 and table 2.
    Differs from the paper: streamed metrics pool minibatches instead of taking all examples at once.
    """
    if len(models) < 2:
        raise ValueError(f"`models` must hold at least two networks, got {len(models)}.")
    symmetrise = not find_metric(metric).symmetric
    pairs = [(i, j) for i, j in permutations(range(len(models)), 2) if symmetrise or i < j]
    comparisons = compare_pairs(
        [(model, layers) for model in models],
        pairs,
        loader,
        [metric],
        reduce,
        select=select,
        device=device,
        max_batches=max_batches,
        batch_size=batch_size,
        allow_degenerate=allow_degenerate,
    )
    for pair, comparison in comparisons.items():
        if comparison.layers_a != comparison.layers_b:
            raise ValueError(f"Networks {pair} differ in their layers: `match_layers` needs one architecture.")
    matrices = {pair: comparison.matrix(metric) for pair, comparison in comparisons.items()}
    return identify(matrices, len(models), symmetrise=symmetrise)


def _matrix(matrices: Mapping[tuple[int, int], Tensor], pair: tuple[int, int], *, symmetrise: bool) -> Tensor:
    there, back = matrices.get(pair), matrices.get(pair[::-1])
    if there is not None and back is not None:
        return there + back.mT if symmetrise else there
    if symmetrise or (there is None and back is None):
        raise ValueError(f"`matrices` lacks the pair {pair}, or {pair[::-1]}; `symmetrise` needs both.")
    return there if there is not None else cast(Tensor, back).mT


def _check_shapes(matrices: Mapping[tuple[int, int], Tensor]) -> None:
    first = next(iter(matrices.values()))
    for pair, matrix in matrices.items():
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape != first.shape or len(matrix) < 2:
            raise ValueError(
                f"The matrix of pair {pair} has shape {tuple(matrix.shape)}: all must be (L, L) with the same L ≥ 2."
            )


def _found(matrix: Tensor) -> Tensor:
    """For each row the column of its unique maximum; −1 where there is none."""
    values = matrix.nan_to_num(nan=-torch.inf)
    top = values.max(1, keepdim=True).values
    unique = (values == top).sum(1) == 1
    return torch.where(unique & top.isfinite().squeeze(1), values.argmax(1), -1)


def _mean(hits: Sequence[Bool[Tensor, " l"]]) -> Float[Tensor, " l"]:
    return torch.stack(list(hits)).double().mean(0)


def _mean_without(hits: Mapping[tuple[int, int], Tensor], network: int) -> Tensor:
    kept = [hit for pair, hit in hits.items() if network not in pair]
    return _mean(kept) if kept else torch.full(next(iter(hits.values())).shape, torch.nan, dtype=torch.float64)


def _kendall_tau(columns: Tensor) -> float:
    from scipy.stats import kendalltau

    (places,) = torch.nonzero(columns >= 0, as_tuple=True)
    best = columns[places]
    if (best == best[:1]).all():
        return 0.0
    share = comb(len(places), 2) / comb(len(columns), 2)
    return share * float(kendalltau(places.numpy(), best.numpy()).statistic)
