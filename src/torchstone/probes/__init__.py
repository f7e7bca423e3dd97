"""Probes: what a frozen representation is worth, by simple classifiers; one problem, or many at once.

Functions of tensors, (n, d) or (e, n, d) for e problems; the same as estimators; ``probe`` for a few labels.
"""

from torchstone.probes.estimators import CentroidProbe, KNNProbe, LogisticProbe, Probe
from torchstone.probes.few_labels import FewLabels, probe
from torchstone.probes.inputs import ProbeWarning
from torchstone.probes.logistic import LogisticFit, logistic_regression
from torchstone.probes.neighbours import centroids, knn, nearest_centroid
from torchstone.probes.scaling import l2_normalize, scaler

__all__ = [
    "CentroidProbe",
    "FewLabels",
    "KNNProbe",
    "LogisticFit",
    "LogisticProbe",
    "Probe",
    "ProbeWarning",
    "centroids",
    "knn",
    "l2_normalize",
    "logistic_regression",
    "nearest_centroid",
    "probe",
    "scaler",
]
