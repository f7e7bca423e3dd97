"""Probes: what a frozen representation is worth, by simple classifiers; one problem, or many at once."""

from torchstone.probes.inputs import ProbeWarning
from torchstone.probes.logistic import LogisticFit, logistic_regression

__all__ = ["LogisticFit", "ProbeWarning", "logistic_regression"]
