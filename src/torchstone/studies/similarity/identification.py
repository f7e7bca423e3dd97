"""Layer identification by every index, from the decomposed layers that are on record."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.lab import Estimate, Record
from torchstone.lab.statistics import jackknife
from torchstone.similarity import Factors, LayerMatch, factor, find_metric, identify, indexes
from torchstone.studies.similarity.networks import LAYERS, recorded

FLATTENED = {  # as in the paper: all positions of a map are features
    "cka": "linear CKA",
    "cka_rbf:0.2": "RBF CKA, σ = 0.2",
    "cka_rbf:0.4": "RBF CKA, σ = 0.4",
    "cka_rbf:0.8": "RBF CKA, σ = 0.8",
    "hsic": "linear HSIC",
}
POOLED = {  # these say nothing unless there are more examples than features
    "cca_mean_rho": "CCA, mean ρ",
    "cca_r2": "CCA, R²",
    "svcca_mean_rho": "SVCCA, mean ρ",
    "svcca_r2": "SVCCA, R²",
    "pwcca": "PWCCA",
    "linear_regression": "linear regression",
    "cka": "linear CKA on pooled maps",
    "procrustes": "orthogonal Procrustes",
}
Tables = dict[tuple[int, int], Float[Tensor, "l l"]]


def of_arm(records: Sequence[Record], arm: str) -> tuple[Record, ...]:
    """The records of one arm."""
    return tuple(record for record in records if record.trial.arm == arm)


@lru_cache(maxsize=1)  # judge and figures ask for the same
def identified(full: tuple[Record, ...]) -> dict[tuple[str, str], LayerMatch]:
    """Every index's score over all pairs of the full networks, by how it sees a layer and its name."""
    tables = _all_tables(full)
    return {key: _match(table, key[1], len(full)) for key, table in tables.items()}


@lru_cache(maxsize=1)
def _all_tables(full: tuple[Record, ...]) -> dict[tuple[str, str], Tables]:
    views = (("flat", recorded, FLATTENED), ("pooled", _coarse, POOLED))
    return {
        (kind, name): table
        for kind, view, names in views
        for name, table in _tables([view(record) for record in full], names).items()
    }


def _tables(networks: Sequence[Sequence[Factors]], names: Iterable[str]) -> dict[str, Tables]:
    """Each index of all layers of each ordered pair of networks; symmetric ones are computed once a pair."""
    symmetric = [name for name in names if find_metric(name).symmetric]
    other = [name for name in names if not find_metric(name).symmetric]
    tables: dict[str, Tables] = {name: {} for name in names}
    for i, j in combinations(range(len(networks)), 2):
        for name, table in indexes([*symmetric, *other], networks[i], networks[j]).items():
            tables[name][i, j] = table
        for name, table in indexes(other, networks[j], networks[i]).items():
            tables[name][j, i] = table
    return tables


def _match(tables: Tables, name: str, networks: int) -> LayerMatch:
    return identify(tables, networks, symmetrise=not find_metric(name).symmetric)


def mean_matrix(full: tuple[Record, ...], kind: str, name: str) -> Float[Tensor, "l l"]:
    """The mean over ordered pairs of networks; asymmetric indexes have both directions, symmetric ones are mirrored."""
    tables = _all_tables(full)[kind, name]
    mean = torch.stack(list(tables.values())).mean(0)
    return (mean + mean.mT) / 2


def _coarse(record: Record) -> list[Factors]:
    return [factor(record.artifacts[f"{layer}/pooled"]) for layer in LAYERS]


def _linear_cka_match(records: Sequence[Record]) -> LayerMatch:
    return _match(_tables([recorded(record) for record in records], ["cka"])["cka"], "cka", len(records))


@lru_cache(maxsize=1)
def smaller_arms(records: tuple[Record, ...]) -> dict[str, LayerMatch]:
    """Linear CKA in every other arm of which two networks or more were trained."""
    arms = dict.fromkeys(record.trial.arm for record in records if record.trial.arm != "full")
    groups = {arm: of_arm(records, arm) for arm in arms}
    return {arm: _linear_cka_match(group) for arm, group in groups.items() if len(group) > 1}


def by_setting(records: tuple[Record, ...], setting: str) -> dict[float, Estimate]:
    """Linear CKA's accuracy by ``width`` or ``steps``, the full networks included, smallest first."""
    full = of_arm(records, "full")
    points = {float(str(full[0].trial.config[setting])): estimate(identified(full)["flat", "cka"])}
    for arm, match in smaller_arms(records).items():
        if arm.startswith(setting):
            points[float(arm.removeprefix(setting))] = estimate(match)
    return dict(sorted(points.items()))


def estimate(match: LayerMatch) -> Estimate:
    """The accuracy with its jackknife interval over networks, cut off at 0 and 1."""
    whole = jackknife(match.accuracy, match.leave_one_out.tolist())
    return Estimate(whole.value, max(whole.low, 0.0), min(whole.high, 1.0))


def gain(better: LayerMatch, worse: LayerMatch) -> Estimate:
    """The difference of two accuracies with its jackknife interval over the networks that both saw."""
    return jackknife(better.accuracy - worse.accuracy, (better.leave_one_out - worse.leave_one_out).tolist())


def label(kind: str, name: str) -> str:
    """What an index is called in tables and pictures."""
    return (FLATTENED if kind == "flat" else POOLED)[name]
