"""Records of methods that were trained with several learning rates: the one that validation classes choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from torchstone.lab import Record

SHOTS = (1, 5)

Key = tuple[str, str, int]
"""Data set, arm, seed."""


@dataclass(frozen=True)
class Results:
    """What each method is judged by, in percent; seeds are in ascending order.

    Args:
        best: the record whose learning rate is best on validation classes.
        tried: the records of all rates, in ascending order of these.
    """

    best: Mapping[Key, Record]
    tried: Mapping[Key, Sequence[Record]]

    @property
    def pictures(self) -> list[str]:
        """The data sets."""
        return list(dict.fromkeys(pictures for pictures, _, _ in self.best))

    @property
    def searched(self) -> bool:
        """Whether a method tried several learning rates."""
        return any(len(records) > 1 for records in self.tried.values())

    def seeds(self, arm: str, pictures: str) -> list[int]:
        """The seeds of an arm on a data set."""
        return sorted(seed for key, of, seed in self.best if (key, of) == (pictures, arm))

    def accuracies(self, arm: str, shots: int, pictures: str) -> Float[np.ndarray, " k"]:
        """The mean accuracy of each seed."""
        seeds = self.seeds(arm, pictures)
        return np.array([self._episodes((pictures, arm, seed), shots).mean() for seed in seeds])

    def leads(self, arm: str, rival: str, shots: int, pictures: str) -> Float[np.ndarray, " k"]:
        """For each seed that both have, the mean lead over the episodes that both were tested on."""
        return np.array([self._lead(arm, rival, shots, pictures, seed) for seed in self._common(rival, [pictures])])

    def mean_lead(self, arm: str, rival: str, shots: int) -> Float[np.ndarray, " k"]:
        """The lead averaged over the data sets, for each seed that all have."""
        rows = [
            [self._lead(arm, rival, shots, pictures, seed) for pictures in self.pictures]
            for seed in self._common(rival, self.pictures)
        ]
        means: Float[np.ndarray, " k"] = np.array(rows).mean(1)
        return means

    def at_edge(self, arm: str) -> Float[np.ndarray, " k"]:
        """1 for each search whose best rate is the lowest or the highest that was tried, else 0."""
        searches = {key: records for key, records in self.tried.items() if key[1] == arm}
        return np.array([float(self.best[key] in (records[0], records[-1])) for key, records in searches.items()])

    def _common(self, rival: str, pictures: Sequence[str]) -> list[int]:
        """The seeds of the arm that has fewest."""
        return sorted(set.intersection(*(set(self.seeds(rival, each)) for each in pictures)))

    def _lead(self, arm: str, rival: str, shots: int, pictures: str, seed: int) -> float:
        ours, theirs = (self._episodes((pictures, of, seed), shots) for of in (arm, rival))
        both = min(len(ours), len(theirs))
        return float((ours[:both] - theirs[:both]).mean())

    def _episodes(self, key: Key, shots: int) -> Float[np.ndarray, " episodes"]:
        """The accuracy in each episode; that of guessing, if every training diverged."""
        record = self.best[key]
        if record.diverged:
            return np.full(record.trial.config["episodes"], 100 / record.trial.config["plan"]["ways"])
        accuracies: Float[np.ndarray, " episodes"] = record.artifacts[f"{shots}-shot"].numpy()
        return accuracies


def chosen(records: Sequence[Record]) -> Results:
    """Of the learning rates of each data set, arm and seed the one with the best validation accuracy."""
    tried: dict[Key, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.trial.config["plan"]["rate"]):
        tried.setdefault((record.trial.config["pictures"], record.trial.arm, record.trial.seed), []).append(record)
    return Results({key: max(of, key=_validation) for key, of in tried.items()}, tried)


def _validation(record: Record) -> float:
    return -1.0 if record.diverged else record.metrics["validation"]
