"""First-order optimizers, gradient centralization, online regret, trajectories."""

from torchstone.optim.adamnc import AdamNC
from torchstone.optim.catalogue import RULES, Rule
from torchstone.optim.create import create
from torchstone.optim.feasible import project
from torchstone.optim.schedules import InverseSqrt

__all__ = ["RULES", "AdamNC", "InverseSqrt", "Rule", "create", "project"]
