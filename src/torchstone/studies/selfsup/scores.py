"""Accuracies by arm, and by how much one arm is ahead of another, seed by seed."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from torchstone.lab import Estimate, Record
from torchstone.lab.statistics import mean_interval

Points = Float[np.ndarray, " k"]


def arms_of(records: Sequence[Record]) -> list[str]:
    """The arms that have a record, in the order of their first one."""
    return list(dict.fromkeys(record.trial.arm for record in records))


def of_arm(records: Sequence[Record], arm: str, metric: str, seeds: Sequence[int] | None = None) -> Points:
    """A metric of an arm by seed, those of all its seeds if ``seeds`` is absent; NaN where it diverged."""
    found = {record.trial.seed: record.metrics[metric] for record in records if record.trial.arm == arm}
    return np.array([found[seed] for seed in (sorted(found) if seeds is None else seeds)])


def common_seeds(records: Sequence[Record], *arms: str) -> list[int]:
    """The seeds that all of these arms have."""
    by_arm = [{record.trial.seed for record in records if record.trial.arm == arm} for arm in arms]
    return sorted(set.intersection(*by_arm))


def leads(records: Sequence[Record], arm: str, rival: str, metric: str) -> Points:
    """``arm`` minus ``rival``, for each of their common seeds."""
    seeds = common_seeds(records, arm, rival)
    ours, theirs = (of_arm(records, name, metric, seeds) for name in (arm, rival))
    ahead: Points = ours - theirs
    return ahead


def points_ahead(records: Sequence[Record], arm: str, rival: str, metric: str) -> Estimate:
    """The mean of :func:`leads`, with its interval."""
    return mean_interval(leads(records, arm, rival, metric))


def mean(records: Sequence[Record], arm: str, metric: str) -> Estimate:
    """The mean of an arm over its seeds, with its interval."""
    return mean_interval(of_arm(records, arm, metric))
