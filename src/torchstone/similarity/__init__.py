"""Representation similarity: how alike two networks see the same examples.

Functions of two (n, d) tensors, and ``factor`` with ``indexes`` for all pairs of layers at once.
"""

from torchstone.similarity.capture import capture, extract
from torchstone.similarity.cca import canonical_correlations, cca, pwcca, svcca
from torchstone.similarity.cka import chance_level, cka
from torchstone.similarity.compare import compare_models
from torchstone.similarity.comparison import Comparison
from torchstone.similarity.factors import Factors, factor
from torchstone.similarity.hsic import center, hsic, u_center
from torchstone.similarity.indexes import indexes
from torchstone.similarity.inputs import SimilarityWarning
from torchstone.similarity.kernels import linear_kernel, rbf_kernel
from torchstone.similarity.layers import UnknownLayerError, list_layers, unwrap
from torchstone.similarity.matching import LayerMatch, identify, match_layers
from torchstone.similarity.metrics import METRICS, Metric, find_metric
from torchstone.similarity.plotting import heat_map
from torchstone.similarity.procrustes import angular_distance, procrustes_distance
from torchstone.similarity.reductions import reduction
from torchstone.similarity.regression import linear_regression

__all__ = [
    "METRICS",
    "Comparison",
    "Factors",
    "LayerMatch",
    "Metric",
    "SimilarityWarning",
    "UnknownLayerError",
    "angular_distance",
    "canonical_correlations",
    "capture",
    "cca",
    "center",
    "chance_level",
    "cka",
    "compare_models",
    "extract",
    "factor",
    "find_metric",
    "heat_map",
    "hsic",
    "identify",
    "indexes",
    "linear_kernel",
    "linear_regression",
    "list_layers",
    "match_layers",
    "procrustes_distance",
    "pwcca",
    "rbf_kernel",
    "reduction",
    "svcca",
    "u_center",
    "unwrap",
]
