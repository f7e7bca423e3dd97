"""What the claims about metric learning read off their records."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from torchstone.lab import Record
from torchstone.lab.statistics import worst_for_diverged

WORST = 0.0  # points: what a training that diverged counts as

Table = Mapping[str, Mapping[str, Sequence[Record]]]
"""Of each task and arm: its records, the same seeds in the same order for all of them."""


def table_of(records: Sequence[Record]) -> Table:
    """The records by task and arm; a seed that lacks an arm is left out, as is a task without records."""
    found: dict[str, dict[int, dict[str, Record]]] = {}
    for record in records:
        task = record.trial.config["task"]["pictures"]
        found.setdefault(task, {}).setdefault(record.trial.seed, {})[record.trial.arm] = record
    arms = list(dict.fromkeys(record.trial.arm for record in records))
    whole = [{seed for seed, by_arm in by_seed.items() if set(arms) <= set(by_arm)} for by_seed in found.values()]
    seeds = sorted(set.intersection(*whole))
    return {task: {arm: [by_seed[seed][arm] for seed in seeds] for arm in arms} for task, by_seed in found.items()}


def values_of(table: Table, arms: Sequence[str], metric: str) -> Float[np.ndarray, "arms k"]:
    """A metric of each arm and seed, the mean over tasks; what diverged counts as 0."""
    tasks = []
    for by_arm in table.values():
        values = {arm: [record.metrics[metric] for record in by_arm[arm]] for arm in arms}
        tasks.append(list(worst_for_diverged(values, worst=WORST).values()))
    mean: Float[np.ndarray, "arms k"] = np.mean(tasks, axis=0)
    return mean
