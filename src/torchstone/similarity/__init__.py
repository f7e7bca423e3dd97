"""Representation similarity: how alike two networks see the same examples.

Functions of two (n, d) tensors, and ``factor`` with ``indexes`` for all pairs of layers at once.
"""

from torchstone.similarity.cca import canonical_correlations, cca, pwcca, svcca
from torchstone.similarity.cka import chance_level, cka
from torchstone.similarity.factors import Factors, factor
from torchstone.similarity.hsic import center, hsic, u_center
from torchstone.similarity.indexes import indexes
from torchstone.similarity.inputs import SimilarityWarning
from torchstone.similarity.kernels import linear_kernel, rbf_kernel
from torchstone.similarity.metrics import METRICS, Metric, find_metric
from torchstone.similarity.procrustes import angular_distance, procrustes_distance
from torchstone.similarity.regression import linear_regression

__all__ = [
    "METRICS",
    "Factors",
    "Metric",
    "SimilarityWarning",
    "angular_distance",
    "canonical_correlations",
    "cca",
    "center",
    "chance_level",
    "cka",
    "factor",
    "find_metric",
    "hsic",
    "indexes",
    "linear_kernel",
    "linear_regression",
    "procrustes_distance",
    "pwcca",
    "rbf_kernel",
    "svcca",
    "u_center",
]
