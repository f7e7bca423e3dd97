"""Accuracies of networks with and without a teacher, as tables: who is ahead of whom, seed by seed."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from torchstone.lab import Record

DISTILLED, PLAIN, LONG = "distilled", "without teacher", "without teacher, three times the steps"
GENERATIONS = 2
SHOTS = (1, 5)
JUDGED_WAYS = 20

Network = tuple[str, int]
"""An arm and a generation."""
STUDENT, FIRST, CONTROL, LONGER = (DISTILLED, GENERATIONS), (DISTILLED, 0), (PLAIN, 0), (LONG, 0)


def problem(ways: int, shots: int) -> str:
    """Ways and shots in words."""
    return f"{ways}-way {shots}-shot"


def metric(ways: int, shots: int, generation: int) -> str:
    """The name of an accuracy."""
    return f"{problem(ways, shots)}, generation {generation}"


def accuracies(records: Sequence[Record], ways: int, shots: int, network: Network) -> dict[str, dict[int, float]]:
    """By data set and seed: the accuracy of a network in percent."""
    arm, generation = network
    found: dict[str, dict[int, float]] = {}
    for record in records:
        if record.trial.arm == arm:
            accuracy = 100 * record.metrics[metric(ways, shots, generation)]
            found.setdefault(record.trial.config["pictures"], {})[record.trial.seed] = accuracy
    return found


def gains(
    records: Sequence[Record], ways: int, shots: int, ahead: Network, behind: Network
) -> dict[str, Float[np.ndarray, " seeds"]]:
    """By data set: how far one network is ahead of another, for seeds that have both on every data set that was run."""
    tables = [accuracies(records, ways, shots, network) for network in (ahead, behind)]
    names = [name for name in tables[0] if name in tables[1]]
    seeds = sorted(set.intersection(*(set(table[name]) for name in names for table in tables))) if names else []
    return {name: np.array([tables[0][name][seed] - tables[1][name][seed] for seed in seeds]) for name in names}


def mean_gain(
    records: Sequence[Record], ways: int, shots: int, ahead: Network, behind: Network
) -> Float[np.ndarray, " seeds"]:
    """The gain of each seed, averaged over data sets; of no length where there is none."""
    by_data = list(gains(records, ways, shots, ahead, behind).values())
    return np.mean(by_data, axis=0) if by_data else np.zeros(0)


def curves(records: Sequence[Record]) -> Mapping[str, Mapping[int, Mapping[Network, Sequence[float]]]]:
    """By data set and shots, at the ways that are judged: the accuracies of each network, over seeds."""
    networks = [*((DISTILLED, generation) for generation in range(GENERATIONS + 1)), CONTROL, LONGER]
    found: dict[str, dict[int, dict[Network, Sequence[float]]]] = {}
    for shots in SHOTS:
        for network in networks:
            for name, by_seed in accuracies(records, JUDGED_WAYS, shots, network).items():
                found.setdefault(name, {}).setdefault(shots, {})[network] = [by_seed[seed] for seed in sorted(by_seed)]
    return found
