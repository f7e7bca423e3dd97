"""Metric learning: what an embedding is worth for retrieval, and the losses, samplers and splits that train it.

``LOSSES`` is the table of the methods; each loss is a module of (embeddings, labels).
"""

from torchstone.metric.catalogue import LOSSES, WEIGHT_RATE, Range, Row
from torchstone.metric.class_batches import ClassBalancedBatches
from torchstone.metric.class_softmax import ClassSoftmax, SoftTriple
from torchstone.metric.clustering import ClusteringMetrics, clustering_metrics
from torchstone.metric.folds import ClassDisjointFold, class_disjoint_folds, class_disjoint_split
from torchstone.metric.inputs import MetricWarning
from torchstone.metric.losses import MetricLoss
from torchstone.metric.margin import MarginLoss, batch_all_margin
from torchstone.metric.nt_xent import nt_xent
from torchstone.metric.retrieval import RetrievalMetrics, retrieval_metrics
from torchstone.metric.sampling import distance_weighted_triplets
from torchstone.metric.triplet import batch_all_triplet

__all__ = [
    "LOSSES",
    "WEIGHT_RATE",
    "ClassBalancedBatches",
    "ClassDisjointFold",
    "ClassSoftmax",
    "ClusteringMetrics",
    "MarginLoss",
    "MetricLoss",
    "MetricWarning",
    "Range",
    "RetrievalMetrics",
    "Row",
    "SoftTriple",
    "batch_all_margin",
    "batch_all_triplet",
    "class_disjoint_folds",
    "class_disjoint_split",
    "clustering_metrics",
    "distance_weighted_triplets",
    "nt_xent",
    "retrieval_metrics",
]
