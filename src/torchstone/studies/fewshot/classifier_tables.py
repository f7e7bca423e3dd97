"""Accuracies of classifiers on embeddings, as tables: how far classifiers lie apart, and what an embedding gains."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from torchstone.lab import Estimate, Record
from torchstone.lab.statistics import jackknife

UNTRAINED, FEWER, TRAINED = "untrained", "a quarter of the classes", "all base classes"
ARMS = (UNTRAINED, FEWER, TRAINED)
RAW = "all base classes, not normalised"
ROWS = (*ARMS, RAW)
HEADS = {
    "logistic": "logistic regression",
    "centroid": "nearest centroid",
    "neighbour": "nearest neighbour",
    "svm": "linear SVM",
}
SHOTS = (1, 5)

Table = Mapping[str, Float[np.ndarray, "seeds shots heads"]]
"""Accuracies in percent, by arm."""


def metric(head: str, shots: int, l2: bool) -> str:
    """The name of an accuracy."""
    return f"{named(shots)}, {HEADS[head]}" + ("" if l2 else ", not normalised")


def named(shots: int) -> str:
    """The shots in words."""
    return f"{shots}-shot"


def tables_of(records: Sequence[Record]) -> dict[str, Table]:
    """By data set: the accuracies of each arm, for seeds that have all arms on all data sets that were run."""
    found: dict[str, dict[int, dict[str, Record]]] = {}
    for record in records:
        found.setdefault(record.trial.config["pictures"], {}).setdefault(record.trial.seed, {})[record.trial.arm] = (
            record
        )
    whole = {
        name: {seed: arms for seed, arms in by_seed.items() if len(arms) == len(ARMS)}
        for name, by_seed in found.items()
    }
    seeds = sorted(set.intersection(*(set(by_seed) for by_seed in whole.values())))
    return {
        name: {arm: np.array([_accuracies(by_seed[seed][_run_of(arm)], arm != RAW) for seed in seeds]) for arm in ROWS}
        for name, by_seed in whole.items()
    }


def mean_of(tables: Mapping[str, Table]) -> Table:
    """The accuracies averaged over data sets."""
    return {arm: np.mean([table[arm] for table in tables.values()], axis=0) for arm in ROWS}


def spread(accuracies: Float[np.ndarray, "seeds shots heads"]) -> Float[np.ndarray, "seeds shots"]:
    """The best classifier less the worst."""
    apart: Float[np.ndarray, "seeds shots"] = np.ptp(accuracies, axis=2)
    return apart


def effect(table: Table, *, over: str = FEWER) -> Float[np.ndarray, "seeds shots"]:
    """What the best embedding gains over another one, averaged over the classifiers."""
    gained: Float[np.ndarray, "seeds shots"] = (table[TRAINED] - table[over]).mean(2)
    return gained


def share(spreads: Float[np.ndarray, " seeds"], effects: Float[np.ndarray, " seeds"]) -> Estimate:
    """Mean spread over mean effect, with a jackknife interval over seeds; NaN where the mean effect is not positive.

    A ratio of means, since a single seed's effect can be small.
    """

    def ratio(seeds: Float[np.ndarray, " k"]) -> float:
        below = float(effects[seeds].mean())
        return float(spreads[seeds].mean()) / below if below > 0 else float("nan")

    seeds = np.arange(len(spreads))
    return jackknife(ratio(seeds), [ratio(np.delete(seeds, seed)) for seed in seeds] if len(seeds) > 1 else [])


def secondary(tables: Mapping[str, Table]) -> dict[str, Float[np.ndarray, " seeds"]]:
    """What is shown and decides nothing, by its words."""
    table, learned = mean_of(tables), [head != "neighbour" for head in HEADS]
    rows = {
        "spread of classifiers, points": spread(table[TRAINED]),
        "the same, without the nearest neighbour": spread(table[TRAINED][:, :, learned]),
        "the same, features not normalised": spread(table[RAW]),
        "gain over the untrained embedding, points": effect(table, over=UNTRAINED),
    }
    for name, own in tables.items():
        rows[f"spread of classifiers, points, {name}"] = spread(own[TRAINED])
        rows[f"effect of the embedding, points, {name}"] = effect(own)
    for place, words in enumerate(HEADS.values()):
        rows[f"accuracy, %, {words}"] = table[TRAINED][:, :, place]
    return {
        f"{words}, {named(shots)}": row
        for words, both in rows.items()
        for shots, row in zip(SHOTS, both.T, strict=True)
    }


def _run_of(row: str) -> str:
    return TRAINED if row == RAW else row


def _accuracies(record: Record, l2: bool) -> list[list[float]]:
    return [[100 * record.metrics[metric(head, shots, l2)] for head in HEADS] for shots in SHOTS]
