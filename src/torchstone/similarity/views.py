"""The layers of one model that a comparison looks at, batch after batch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from torchstone.similarity.capture import placed
from torchstone.similarity.features import Features, joined
from torchstone.similarity.layers import Layers, called, pick, unwrap
from torchstone.similarity.reductions import Reduce
from torchstone.similarity.streaming import Imprint, imprint


class View:
    """Some layers of one model, and what they leave of each batch.

    Args:
        model: the model, where it shall run.
        device: its device.
        layers: names and patterns, or ``None`` for the leaf modules.
        reduce: how an output becomes a matrix.
        kernels: what to keep of every batch, for :func:`imprint`.
        keep: whether to keep the features themselves, of all batches.
    """

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        layers: Layers,
        *,
        reduce: Reduce,
        kernels: Sequence[str],
        keep: bool,
    ) -> None:
        self.model, self.device, self.layers = model, device, layers
        self.features = Features(reduce, strict=layers is not None)
        self.kernels, self.keep = kernels, keep
        self.outputs: Mapping[str, Imprint] = {}
        self.names: list[str] = []
        self.widths: list[int] = []
        self.kept: dict[str, list[Tensor]] = {}

    def imprint(self, name: str, output: Tensor) -> Imprint | None:
        """What the hook keeps of a layer's output."""
        matrix = self.features(name, output)
        return None if matrix is None else imprint(matrix, self.kernels, keep=self.keep)

    def imprints(self) -> list[Imprint]:
        """Those of the last batch, in the order of ``names``, which the first batch settles."""
        self.names = self.names or pick(self.outputs, self.layers)
        found = [called(self.outputs, name) for name in self.names]
        self.widths = [each.features for each in found]
        return found

    def store(self, imprints: Sequence[Imprint]) -> None:
        """Put the features of a batch to those of the batches before."""
        for name, each in zip(self.names, imprints, strict=True):
            if each.kept is not None:
                self.kept.setdefault(name, []).append(each.kept)

    def matrices(self) -> list[Tensor]:
        """The features of all batches, (n, d) for each layer; they are handed over, not kept."""
        return [joined(name, self.kept.pop(name)) for name in self.names]

    def check_finite(self, imprints: Sequence[Imprint]) -> None:
        """Refuse NaN and infinite activations by the name of the layer."""
        sizes = torch.stack([each.size.double().cpu() for each in imprints])
        for name, finite in zip(self.names, sizes.isfinite().tolist(), strict=True):
            if not finite:
                raise ValueError(
                    f"{self.label(name)} puts out NaN, infinite or overflowing values: find the inputs that cause "
                    "them, or leave the layer out."
                )

    def label(self, name: str) -> str:
        """How messages call a layer."""
        return f"Layer {name!r} of {type(self.model).__name__}"


def views_of(
    sides: Sequence[tuple[nn.Module, Layers]],
    device: torch.device | str | None,
    *,
    reduce: Reduce,
    kernels: Sequence[str],
    keep: bool,
) -> list[View]:
    """One view for each side; sides of the same model and layers share theirs, sides of the same model its copy."""
    homes: dict[int, tuple[nn.Module, torch.device]] = {}
    views: dict[tuple[int, tuple[str, ...] | None], View] = {}
    keys = []
    for model, layers in sides:
        identity = id(unwrap(model))
        if identity not in homes:
            homes[identity] = placed(model, device)
        key = (identity, None if layers is None else tuple(layers))
        if key not in views:
            views[key] = View(*homes[identity], layers, reduce=reduce, kernels=kernels, keep=keep)
        keys.append(key)
    return [views[key] for key in keys]


def same_layers(a: View, b: View) -> Tensor | None:
    """Which pairs are one and the same layer of one and the same model, (L_A, L_B); ``None`` for two models."""
    if a.model is not b.model:
        return None
    return torch.tensor([[name == other for other in b.names] for name in a.names])


def common_rows(views: Sequence[View], found: Sequence[Sequence[Imprint]]) -> int:
    """The number of rows that all layers have in a batch."""
    rows: dict[int, str] = {}
    for view, imprints in zip(views, found, strict=True):
        for name, each in zip(view.names, imprints, strict=True):
            rows.setdefault(each.rows, view.label(name))
    if len(rows) > 1:
        (n, first), (m, second) = list(rows.items())[:2]
        raise ValueError(
            f"{first} has {n} rows in this batch, {second} {m}: representations must come from the same examples. Name "
            "layers with as many tokens or positions, or use a `reduce` that keeps one row for each example."
        )
    return next(iter(rows))
