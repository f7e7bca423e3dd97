"""The protocol of "A metric learning reality check" as one object, for any methods that fit and embed."""

from torchstone.lab.reality_check.check import RealityCheck
from torchstone.lab.reality_check.parts import Embedder, Parts
from torchstone.lab.reality_check.results import Answer, Comparison, Row

__all__ = ["Answer", "Comparison", "Embedder", "Parts", "RealityCheck", "Row"]
