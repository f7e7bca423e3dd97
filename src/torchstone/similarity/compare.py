"""All layers of some models against all layers of others, in one pass over the data."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from math import isnan
from typing import Any, TypeAlias

import torch
import torch.distributed as distributed
from torch import Tensor, nn

from torchstone.similarity.batches import batches, count, forward
from torchstone.similarity.capture import Select, capture
from torchstone.similarity.comparison import Comparison
from torchstone.similarity.factors import Factors, factor
from torchstone.similarity.indexes import tables
from torchstone.similarity.inputs import warn
from torchstone.similarity.layers import Layers
from torchstone.similarity.metrics import find_metric
from torchstone.similarity.reductions import Reduce
from torchstone.similarity.streaming import (
    SMALLEST_BATCH,
    HsicSums,
    jackknife_interval,
    stack,
    streamed_kernel,
)
from torchstone.similarity.views import View, common_rows, same_layers, views_of

Pair: TypeAlias = tuple[int, int]


def compare_models(
    a: nn.Module,
    b: nn.Module,
    loader: Iterable[Any] | Tensor,
    layers_a: Layers = None,
    layers_b: Layers = None,
    metrics: Sequence[str] = ("cka",),
    reduce: Reduce = "flatten",
    *,
    select: Select = None,
    device: torch.device | str | None = None,
    max_batches: int | None = None,
    batch_size: int = 256,
    allow_degenerate: bool = False,
) -> Comparison:
    r"""Compare every layer of ``a`` with every layer of ``b`` on the same examples, in one pass.

    Minibatch CKA, of layer i of ``a`` with layer j of ``b``:

    .. math:: \frac{\sum_b \langle K^U_{bi}, L^U_{bj} \rangle}
                   {\sqrt{\sum_b \langle K^U_{bi}, K^U_{bi} \rangle \sum_b \langle L^U_{bj}, L^U_{bj} \rangle}}

    with :math:`K^U_{bi}` the U-centred Gram matrix of the layer on batch b of ``loader``. The result hardly depends on
    the batch size, the memory (layers × batch²) not at all on the number of examples. The metrics ``cka``, ``hsic`` and
    ``cka_rbf`` (``cka_rbf:0.8`` for that fraction of the median distance, taken within a batch) are streamed so. All
    other metrics gather the activations of all examples, n × Σd numbers, which ``max_batches`` bounds.

    Where ``torch.distributed`` is initialised, each process gives the batches that it has, and all get the result of
    all.

    Args:
        a: the first model (rows of the matrix). Neither model is changed or moved: both run in eval mode under
            ``inference_mode``, hooks come off, flags are restored.
        b: the second model (columns); may be ``a`` itself, which then runs once.
        loader: a ``DataLoader`` or other iterable of tensors, of tuples that begin with the inputs, or of dictionaries
            (the keys are arguments of ``forward``); or one tensor (n, ...). Both models get the same batch.
        layers_a: names of :func:`list_layers`, of calls (``"relu#1"``) or patterns (``"blocks.*.conv"``); ``None``
            takes every leaf module that puts out floats with a row for each example.
        layers_b: the same for ``b``.
        metrics: names of :func:`torchstone.similarity.indexes`.
        reduce: how an output becomes a matrix (n, d), see :func:`torchstone.similarity.reduction`.
        select: how to find the tensor in an output that is a tuple or a mapping, see :func:`capture`.
        device: where the models run (on copies of them, if they lie elsewhere); ``None`` where each of them is.
        max_batches: stop after so many batches.
        batch_size: rows of a batch when ``loader`` is a tensor.
        allow_degenerate: compute CCA and its kin although a layer has so many features that they are 1 whatever the
            data.

    Returns:
        A :class:`Comparison`.

    Raises:
        UnknownLayerError: (a ``KeyError``) a layer that a model does not have or does not call.
        ValueError: NaN or infinite activations (the layer is named), layers with different numbers of rows, fewer than
            4 examples, an unknown metric.

    Example:
        >>> layer = nn.Linear(4, 3).requires_grad_(False)
        >>> _ = layer.weight.copy_(torch.eye(3, 4)), layer.bias.zero_()
        >>> net = nn.Sequential(layer, nn.ReLU())
        >>> inputs = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
        >>> compare_models(net, net, inputs, batch_size=16).matrix("cka").diagonal()
        tensor([1., 1.], dtype=torch.float64)

    Paper: Nguyen, Raghu, Kornblith 2021, arXiv:2010.15327, section 3.1; Kornblith, Norouzi, Lee, Hinton 2019,
    arXiv:1905.00414.
    Differs from the paper: one pass instead of ten; unequal batches are pooled with the weights n_b (n_b − 3).
    """
    return compare_pairs(
        [(a, layers_a), (b, layers_b)],
        [(0, 1)],
        loader,
        metrics,
        reduce,
        select=select,
        device=device,
        max_batches=max_batches,
        batch_size=batch_size,
        allow_degenerate=allow_degenerate,
    )[0, 1]


def compare_pairs(
    sides: Sequence[tuple[nn.Module, Layers]],
    pairs: Sequence[Pair],
    loader: Iterable[Any] | Tensor,
    metrics: Sequence[str],
    reduce: Reduce,
    *,
    select: Select,
    device: torch.device | str | None,
    max_batches: int | None,
    batch_size: int,
    allow_degenerate: bool,
) -> dict[Pair, Comparison]:
    """As :func:`compare_models` for several pairs (by index into ``sides``) of models, each model run once."""
    _check_metrics(metrics)
    kernels = list(dict.fromkeys(kernel for metric in metrics if (kernel := streamed_kernel(metric))))
    keep = any(streamed_kernel(metric) is None for metric in metrics)
    views = views_of(sides, device, reduce=reduce, kernels=kernels, keep=keep)
    tally = _Tally()
    with torch.inference_mode(), ExitStack() as taps:
        for view in dict.fromkeys(views):
            view.outputs = taps.enter_context(capture(view.model, view.layers, transform=view.imprint, select=select))
        for inputs in batches(loader, batch_size=batch_size, max_batches=max_batches):
            for view in views:
                view.features.rows = count(inputs)
            for model, home in {view.model: view.device for view in views}.items():
                forward(model, inputs, home)
            _take(views, pairs, kernels, tally)
    _settle(tally, keep=keep)
    others = [metric for metric in metrics if streamed_kernel(metric) is None]
    factors = {view: _factors(view, keep_basis="pwcca" in others) for view in dict.fromkeys(views)} if others else {}
    for view in dict.fromkeys(views):
        _warn_of_nothing(view, _own(views, view, tally), factors.get(view, {}), tally.n)
    whole = _gathered(views, pairs, others, factors, allow_degenerate=allow_degenerate)
    return {pair: _comparison(views, pair, metrics, whole, tally, reduce) for pair in pairs}


def _check_metrics(metrics: Sequence[str]) -> None:
    if isinstance(metrics, str) or not metrics:
        raise TypeError(f"`metrics` must be a sequence of names such as ('cka',), got {metrics!r}.")
    for metric in metrics:
        find_metric(metric)


@dataclass
class _Tally:
    """What has been added up so far: sums by pair and kernel, and counts."""

    sums: dict[tuple[Pair, str], HsicSums] = field(default_factory=dict)
    n: int = 0
    batches: int = 0
    skipped: int = 0


def _take(views: Sequence[View], pairs: Sequence[Pair], kernels: Sequence[str], tally: _Tally) -> None:
    """Add the batch that has just gone through the models."""
    found = {view: view.imprints() for view in dict.fromkeys(views)}
    rows = common_rows(list(found), list(found.values()))
    if kernels and rows < SMALLEST_BATCH:
        tally.skipped += 1
        return
    for view, imprints in found.items():
        view.check_finite(imprints)
        view.store(imprints)
    for kernel in kernels:
        stacks = {view: stack(imprints, kernel) for view, imprints in found.items()}
        for pair in pairs:
            a, b = (views[side] for side in pair)
            sums = tally.sums.setdefault((pair, kernel), HsicSums.zeros(len(a.names), len(b.names)))
            sums.add(_place(tally.batches), rows, stacks[a], stacks[b], same_layers(a, b))
    tally.n += rows
    tally.batches += 1


def _place(batch: int) -> int:
    """The number of a batch among those of all processes."""
    if not _many():
        return batch
    return batch * distributed.get_world_size() + distributed.get_rank()


def _settle(tally: _Tally, *, keep: bool) -> None:
    """Add up over processes, refuse an empty result and warn of batches that were left out."""
    if _many():
        _reduce(tally, keep=keep)
    if not tally.batches:
        raise ValueError(
            f"No batch of `loader` has {SMALLEST_BATCH} examples, the fewest that debiased HSIC is defined for: give "
            "more examples, or a larger batch size."
        )
    if tally.skipped:
        noun = "batch" if tally.skipped == 1 else "batches"
        warn(f"{tally.skipped} {noun} of fewer than {SMALLEST_BATCH} examples had to be left out.")


def _many() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def _reduce(tally: _Tally, *, keep: bool) -> None:
    if keep:
        raise ValueError("Several processes can share only the metrics cka, hsic and cka_rbf: run the others in one.")
    nccl = distributed.get_backend() == "nccl"
    device = torch.device("cuda", torch.cuda.current_device()) if nccl else torch.device("cpu")
    fewest = torch.tensor(tally.batches, device=device)
    distributed.all_reduce(fewest, distributed.ReduceOp.MIN)
    if not fewest:
        raise ValueError("A process has no batch of four or more examples: give every process at least one.")
    tally.sums = {key: sums.over_processes(device) for key, sums in tally.sums.items()}
    counts = torch.tensor([tally.n, tally.batches, tally.skipped], device=device)
    distributed.all_reduce(counts)
    tally.n, tally.batches, tally.skipped = counts.tolist()


def _factors(view: View, *, keep_basis: bool) -> dict[str, Factors]:
    """The decomposed features of a model's layers, as messages call them."""
    layers = zip(view.names, view.matrices(), strict=True)
    return {view.label(name): factor(x, keep_basis=keep_basis) for name, x in layers}


def _gathered(
    views: Sequence[View],
    pairs: Sequence[Pair],
    metrics: Sequence[str],
    factors: Mapping[View, Mapping[str, Factors]],
    *,
    allow_degenerate: bool,
) -> dict[Pair, dict[str, Tensor]]:
    """The metrics that look at all examples at once."""
    if not metrics:
        return {}
    wanted = {metric: find_metric(metric) for metric in metrics}
    sides = {pair: [factors[views[side]] for side in pair] for pair in pairs}
    return {pair: tables(wanted, *sides[pair], allow_degenerate=allow_degenerate) for pair in pairs}


def _comparison(
    views: Sequence[View],
    pair: Pair,
    metrics: Sequence[str],
    whole: Mapping[Pair, Mapping[str, Tensor]],
    tally: _Tally,
    reduce: Reduce,
) -> Comparison:
    a, b = (views[side] for side in pair)
    values, intervals = {}, {}
    for metric in metrics:
        kernel = streamed_kernel(metric)
        if kernel is None:
            values[metric] = whole[pair][metric].double()
            continue
        sums = tally.sums[pair, kernel]
        values[metric], left_out = (_statistic(metric, part) for part in (sums.pooled(), sums.leave_one_out()))
        if len(left_out) > 1:
            bounds = (-1.0, 1.0) if find_metric(metric).normalized else (-torch.inf, torch.inf)
            intervals[metric] = jackknife_interval(values[metric], left_out, bounds=bounds)
    return Comparison(
        values=values,
        intervals=intervals,
        layers_a=tuple(a.names),
        layers_b=tuple(b.names),
        features_a=tuple(a.widths),
        features_b=tuple(b.widths),
        model_a=type(a.model).__name__,
        model_b=type(b.model).__name__,
        n=tally.n,
        batches=tally.batches,
        skipped=tally.skipped,
        reduce=str(reduce) if isinstance(reduce, str | int) else getattr(reduce, "__name__", "a callable"),
    )


def _statistic(metric: str, sums: HsicSums) -> Tensor:
    return sums.hsic() if metric == "hsic" else sums.cka()


def _own(views: Sequence[View], view: View, tally: _Tally) -> dict[str, list[float]]:
    """For each kernel the sums of a model's layers with themselves, from any of the pairs that it is in."""
    own: dict[str, list[float]] = {}
    for (pair, kernel), sums in tally.sums.items():
        for side, squares in zip(pair, (sums.own_a, sums.own_b), strict=True):
            if views[side] is view:
                own[kernel] = squares.sum(0).tolist()
    return own


def _warn_of_nothing(view: View, own: Mapping[str, list[float]], factors: Mapping[str, Factors], n: int) -> None:
    """Say, once for each layer, that it has no similarity to anything."""
    for place, name in enumerate(view.names):
        label = view.label(name)
        undefined = [kernel for kernel, squares in own.items() if isnan(squares[place])]
        if label in factors and not factors[label].rank:
            warn(f"{label} is constant on these {n} examples: its similarity to anything is undefined (nan).")
        elif any(squares[place] == 0 for squares in own.values()):
            warn(
                f"{label} is constant on these {n} examples, or has those of each batch equally alike: its similarity "
                "to anything is undefined (nan)."
            )
        elif undefined:
            warn(
                f"{label}: more than half the pairs of examples in a batch coincide up to rounding, so its "
                f"{' and '.join(undefined)} kernel is undefined (nan)."
            )
