"""Records and verdicts as JSON, with every number as it was.

JSON has no NaN and no infinity: they are written as the strings ``"nan"``, ``"inf"`` and ``"-inf"``. All other floats
are written by ``repr`` and come back bit for bit.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torchstone.lab.divergence import NoMetrics
from torchstone.lab.verdict import Check, Estimate, Status, Verdict


def to_json(value: Any) -> str:
    """Strict JSON with sorted keys, the same text for the same value.

    Raises:
        TypeError: ``value`` holds something that JSON lacks, a non-finite number among them, or a key that is no text.
    """
    _check_keys(value)
    try:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    except ValueError as error:
        raise TypeError(str(error)) from error


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of ``value`` as JSON."""
    return hashlib.sha256(to_json(value).encode()).hexdigest()[:16]


def encode_metrics(metrics: Mapping[str, float]) -> str:
    """Named numbers as strict JSON; of a trial that diverged without any, the reason as a text."""
    if isinstance(metrics, NoMetrics):
        return to_json(metrics.reason)
    return to_json(_encode(dict(metrics)))


def decode_metrics(text: str) -> dict[str, float]:
    """What :func:`encode_metrics` wrote."""
    raw = json.loads(text)
    return NoMetrics(raw) if isinstance(raw, str) else {name: float(value) for name, value in raw.items()}


def encode_verdict(verdict: Verdict) -> str:
    """A verdict with its checks as strict JSON."""
    return to_json(_encode(asdict(verdict)))


def decode_verdict(text: str) -> Verdict:
    """What :func:`encode_verdict` wrote."""
    raw = json.loads(text)
    return Verdict(Status(raw["status"]), raw["sentence"], tuple(_check(each) for each in raw["checks"]))


def _check(raw: dict[str, Any]) -> Check:
    estimate = Estimate(**{name: float(value) for name, value in raw["estimate"].items()})
    status = None if raw["status"] is None else Status(raw["status"])
    reported = None if raw["reported"] is None else float(raw["reported"])
    accepts = None if raw["accepts"] is None else (float(raw["accepts"][0]), float(raw["accepts"][1]))
    return Check(**raw | {"estimate": estimate, "status": status, "accepts": accepts, "reported": reported})


def _encode(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _encode(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encode(each) for each in value]
    return value


def _check_keys(value: Any) -> None:
    """JSON would turn a key 1 into "1" and so make two configurations one."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            if not isinstance(key, str):
                raise TypeError(f"keys must be text, but one is {key!r}")
            _check_keys(each)
    elif isinstance(value, list | tuple):
        for each in value:
            _check_keys(each)
