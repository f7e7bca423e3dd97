"""What differs between a record and the same trial run again: numbers, tensors, versions, code, machine."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from torchstone.files import DamagedFileError
from torchstone.lab.divergence import NoMetrics
from torchstone.lab.recorded import Recorded
from torchstone.lab.store import Artifacts, artifact_path

THREADS = "threads per job"
_OF_THE_RUN = ("date", "jobs")  # when it was, and how many ran beside it: no part of what a trial sees
_MISSING = "–"


@dataclass(frozen=True)
class Difference:
    """Something that is not as it was recorded, in words."""

    what: str
    recorded: str
    now: str


def metric_differences(then: Mapping[str, float], now: Mapping[str, float]) -> list[Difference]:
    """Metrics that differ in any bit; ``repr`` tells all floats apart, and every NaN is one.

    Trials that diverged without metrics agree when they did so for the same reason.
    """
    names = [*then, *(name for name in now if name not in then)]
    pairs = {name: (_number(then, name), _number(now, name)) for name in names}
    reasons = [metrics.reason if isinstance(metrics, NoMetrics) else _MISSING for metrics in (then, now)]
    differing = [Difference("diverged", *reasons)] if reasons[0] != reasons[1] else []
    return [*differing, *(Difference(f"metric {name}", *pair) for name, pair in pairs.items() if pair[0] != pair[1])]


def _number(metrics: Mapping[str, float], name: str) -> str:
    return repr(metrics[name]) if name in metrics else _MISSING


def tensor_differences(recorded: Recorded, sha256: str | None, folder: Path) -> list[Difference]:
    """The files of tensors by their hashes, then each tensor that differs, where the recorded file can be read."""
    if sha256 == recorded.sha256:
        return []
    files = Difference("tensors, SHA-256", recorded.sha256 or _MISSING, sha256 or _MISSING)
    now = dict(Artifacts(artifact_path(folder, sha256), sha256)) if sha256 else {}
    try:
        then = dict(recorded.record.artifacts)
    except DamagedFileError as error:
        return [files, Difference("tensors, one by one", str(error), f"{len(now)} tensors")]
    names = [*then, *(name for name in now if name not in then)]
    each = [(name, then.get(name), now.get(name)) for name in names]
    return [files, *(Difference(f"tensor {name}", *_words(a, b)) for name, a, b in each if not _same_bits(a, b))]


def _same_bits(a: Tensor | None, b: Tensor | None) -> bool:
    if a is None or b is None or a.dtype != b.dtype or a.shape != b.shape:
        return False
    return torch.equal(a.reshape(-1).view(torch.uint8), b.reshape(-1).view(torch.uint8))


def _words(a: Tensor | None, b: Tensor | None) -> tuple[str, str]:
    """Kind and shape of both and, where these agree, how far they lie apart."""
    then, now = (_MISSING if x is None else f"{str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}" for x in (a, b))
    if a is not None and b is not None and then == now:
        apart = (a.to(torch.complex128) - b.to(torch.complex128)).abs().max().item()
        now += f", up to {apart:.3g} away"
    return then, now


def surroundings(recorded: Recorded, version: str, environment: Mapping[str, str]) -> list[Difference]:
    """Versions, code, processor and what else is not as it was when ``recorded`` was made."""
    then = recorded.origin.environment
    code = Difference("code of the study", recorded.key.code_version, version)
    names = [*then, *(name for name in environment if name not in then)]
    others = [Difference(name, then.get(name, _MISSING), environment.get(name, _MISSING)) for name in names]
    return [each for each in (code, *others) if each.what not in _OF_THE_RUN and each.recorded != each.now]
