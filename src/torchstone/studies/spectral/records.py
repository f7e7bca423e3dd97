"""What the claims about frequencies read off their records."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.lab import Estimate, Record
from torchstone.lab.statistics import mean_interval
from torchstone.spectral import Times, time_to_fraction


def of_arm(records: Sequence[Record], arm: str) -> list[Record]:
    """The records of an arm, by seed."""
    return sorted((record for record in records if record.trial.arm == arm), key=lambda record: record.trial.seed)


def mean_of(records: Sequence[Record], arm: str, metric: str) -> Estimate:
    """The mean of a metric over an arm's networks."""
    return mean_interval([record.metrics[metric] for record in of_arm(records, arm)])


def learned(record: Record, *, phase: bool = False) -> Float[Tensor, "t k"]:
    """The share of each frequency that is learned: its amplitude, or with ``phase`` what is not missing of it."""
    return 1 - record.artifacts["missing"] if phase else record.artifacts["trace"]


def times_to_half(record: Record, *, phase: bool = False) -> Times:
    """When each frequency was half learned."""
    trace = learned(record, phase=phase)
    return time_to_fraction(trace, record.trial.config["every"] * torch.arange(1, len(trace) + 1))
