"""The audit: what would make a comparison unfair."""

from torchstone.lab.audit.arms import ArmFacts, arm_facts, numbers
from torchstone.lab.audit.fairness import Fairness, audit, fairness
from torchstone.lab.audit.faults import Fault, Finding

__all__ = ["ArmFacts", "Fairness", "Fault", "Finding", "arm_facts", "audit", "fairness", "numbers"]
