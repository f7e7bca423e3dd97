"""The result of comparing two models: matrices, intervals, and what a reader must know beside them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from torchstone.files import DamagedFileError, write_bytes, write_text
from torchstone.similarity.metrics import SCALING, find_metric
from torchstone.similarity.streaming import streamed_kernel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = "torchstone comparison 1"


@dataclass(frozen=True, repr=False, eq=False)
class Comparison:
    """How alike the layers of two models are, on one set of examples.

    High similarity is no proof that two layers do the same: linear CKA is moved at will by a few outlying examples
    (Davari et al. 2022, arXiv:2210.16156), and the biased estimators near 1 say nothing where d is large beside n
    (Murphy et al. 2024, arXiv:2405.01012). So the text of a comparison gives n, d/n and the estimator beside the
    numbers.

    Args:
        values: the matrix (L_A, L_B) of each metric, float64.
        intervals: lower and upper ends of 95 % intervals, by metric, for metrics streamed over two batches or more.
        layers_a: names of the rows.
        layers_b: names of the columns.
        features_a: d of each row's layer.
        features_b: d of each column's layer.
        model_a: the class name of the first model.
        model_b: the class name of the second.
        n: rows of the representations: examples, or tokens or pixels where these were taken as examples.
        batches: how many batches they came in.
        skipped: batches left out because they had fewer than four rows.
        reduce: how outputs became matrices.
    """

    values: Mapping[str, Float[Tensor, "l_a l_b"]]
    intervals: Mapping[str, tuple[Float[Tensor, "l_a l_b"], Float[Tensor, "l_a l_b"]]]
    layers_a: tuple[str, ...]
    layers_b: tuple[str, ...]
    features_a: tuple[int, ...]
    features_b: tuple[int, ...]
    model_a: str
    model_b: str
    n: int
    batches: int
    skipped: int
    reduce: str

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were asked for."""
        return tuple(self.values)

    def matrix(self, metric: str | None = None) -> Float[Tensor, "l_a l_b"]:
        """All layers of A (rows) against all layers of B (columns); the first metric if none is named.

        Raises:
            KeyError: the comparison has no such metric.
        """
        return self.values[self._known(metric)]

    def interval(self, metric: str | None = None) -> tuple[Float[Tensor, "l_a l_b"], Float[Tensor, "l_a l_b"]]:
        """Lower and upper ends of the 95 % interval of each entry, by the jackknife over minibatches.

        Beyond 64 batches, groups of batches are left out instead of single ones. The interval of a normalised index
        ends at −1 and 1; that of two or three batches is wide, since Student's t is then 12.7 or 4.3.

        Raises:
            KeyError: the comparison has no such metric.
            ValueError: there was one batch only, or the metric is not computed batch by batch.
        """
        metric = self._known(metric)
        if metric in self.intervals:
            return self.intervals[metric]
        raise ValueError(f"There is no interval for {metric!r}: {self._why_no_interval(metric)}.")

    def best_match(self, metric: str | None = None) -> list[int | None]:
        """For each layer of A the index of the layer of B most similar to it; ``None`` where that is undefined."""
        matrix = self.matrix(metric)
        defined = ~matrix.isnan().all(1)
        best = matrix.nan_to_num(nan=-torch.inf).argmax(1).tolist()
        return [column if ok else None for column, ok in zip(best, defined.tolist(), strict=True)]

    def plot(self, metric: str | None = None) -> "Figure":
        """A heat map: the layers of A from the bottom up, those of B from left to right."""
        from torchstone.similarity.plotting import heat_map

        metric = self._known(metric)
        labels = f"{self.model_a} (A)", f"{self.model_b} (B)"
        return heat_map(self.values[metric], self.layers_a, self.layers_b, labels=labels, metric=metric)

    def to_html(self, path: str | Path | None = None) -> str:
        """A page that stands alone, heat maps as inline SVG, no scripts; written to ``path`` if one is given."""
        from torchstone.similarity.comparison_page import page

        text = page(self)
        if path is not None:
            write_text(Path(path), text)
        return text

    def save(self, path: str | Path) -> None:
        """Write the comparison to one safetensors file, names and counts as JSON in its header; atomic."""
        tensors = {f"value/{metric}": matrix for metric, matrix in self.values.items()}
        for metric, (low, high) in self.intervals.items():
            tensors |= {f"low/{metric}": low, f"high/{metric}": high}
        described = {field.name: getattr(self, field.name) for field in fields(self)[2:]}
        metadata = {"format": FORMAT, "comparison": json.dumps({"metrics": self.metrics, **described})}
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        write_bytes(Path(path), serialise(contiguous, metadata=metadata))

    @classmethod
    def load(cls, path: str | Path) -> "Comparison":
        """Read what :meth:`save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            DamagedFileError: the file is not a saved comparison, or not whole.
        """
        tensors, text = _read(Path(path))
        try:
            return cls(**_fields(tensors, json.loads(text)))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedFileError(
                f"{path} does not describe its matrices as `Comparison.save` does ({type(error).__name__}: {error}): "
                "save the comparison again."
            ) from error

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return "\n".join([self.title, *(f"  {line}" for line in self.facts()), *map(self._matches, self.metrics)])

    @property
    def title(self) -> str:
        """One line: who was compared with whom."""
        return (
            f"{self.model_a} ({len(self.layers_a)} layers) against {self.model_b} ({len(self.layers_b)} layers), "
            f"{', '.join(self.metrics)}"
        )

    def facts(self) -> list[str]:
        """Lines on the examples, the features and the estimators."""
        widths = (*self.features_a, *self.features_b)
        least, most = min(widths), max(widths)
        noun = "batch" if self.batches == 1 else "batches"
        left_out = f", {self.skipped} too small and left out" if self.skipped else ""
        return [
            f"n = {self.n} examples in {self.batches} {noun}{left_out}; reduce = {self.reduce}",
            f"d = {least} to {most} features, d/n = {least / self.n:.3g} to {most / self.n:.3g}",
            *(f"{metric}: {self._estimator(metric)}" for metric in self.metrics),
        ]

    def entry(self, metric: str, row: int, column: int) -> str:
        """One number with its interval, such as ``0.931 [0.920, 0.942]``."""
        style = "z.3f" if SCALING in find_metric(metric).invariances else ".3g"  # HSIC may be of any size
        text = f"{self.values[metric][row, column].item():{style}}"
        if metric in self.intervals:
            low, high = (end[row, column].item() for end in self.intervals[metric])
            text += f" [{low:{style}}, {high:{style}}]"
        return text

    def _matches(self, metric: str) -> str:
        lines = [f"  best match by {metric}:"]
        for row, column in enumerate(self.best_match(metric)):
            match = "undefined" if column is None else f"{self.layers_b[column]}  {self.entry(metric, row, column)}"
            lines.append(f"    {self.layers_a[row]} → {match}")
        return "\n".join(lines)

    def _estimator(self, metric: str) -> str:
        kernel = streamed_kernel(metric)
        if kernel is None:
            return f"from all {self.n} examples at once; no interval, since {self._why_no_interval(metric)}"
        interval = "95 % intervals by the jackknife over batches"
        if metric not in self.intervals:
            interval = f"no interval, since {self._why_no_interval(metric)}"
        return f"debiased, summed over batches ({kernel} kernel); {interval}"

    def _why_no_interval(self, metric: str) -> str:
        if streamed_kernel(metric) is None:
            return "it is not computed batch by batch, so there are no batches to leave out"
        return "there was one batch, and the jackknife leaves one out of several: use a smaller batch size"

    def _known(self, metric: str | None) -> str:
        if metric is None:
            return self.metrics[0]
        if metric not in self.values:
            raise KeyError(
                f"The comparison has {', '.join(self.metrics)}, but not {metric!r}: ask compare_models for it."
            )
        return metric


def _fields(tensors: Mapping[str, Tensor], described: dict[str, Any]) -> dict[str, Any]:
    """What a comparison is made of, from the tensors of its file and from what the header says of them."""
    metrics = described.pop("metrics")
    shape = len(described["layers_a"]), len(described["layers_b"])
    wrong = [name for name, tensor in tensors.items() if tensor.shape != shape]
    if wrong:
        raise ValueError(f"{wrong[0]} is no matrix of {shape[0]} times {shape[1]} layers")
    if shape != (len(described["features_a"]), len(described["features_b"])) or not metrics:
        raise ValueError("it has other features than layers, or no metric")
    if not all(isinstance(described[count], int) for count in ("n", "batches", "skipped")):
        raise ValueError("n, batches and skipped are not all whole numbers")
    for metric in metrics:
        find_metric(metric)
    both = [metric for metric in metrics if f"low/{metric}" in tensors]
    lists = {name: tuple(value) for name, value in described.items() if isinstance(value, list)}
    values = {metric: tensors[f"value/{metric}"] for metric in metrics}
    intervals = {metric: (tensors[f"low/{metric}"], tensors[f"high/{metric}"]) for metric in both}
    return {**described, **lists, "values": values, "intervals": intervals}


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no comparison at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise DamagedFileError(f"{path} is not a whole safetensors file ({error}).") from error
    if metadata.get("format") != FORMAT or "comparison" not in metadata:
        raise DamagedFileError(f"{path} is a safetensors file, but no comparison that `Comparison.save` wrote.")
    return tensors, metadata["comparison"]
