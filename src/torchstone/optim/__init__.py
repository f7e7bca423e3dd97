"""First-order optimizers, gradient centralization, online regret, trajectories."""

from torchstone.optim.adamnc import AdamNC
from torchstone.optim.catalogue import RULES, Rule
from torchstone.optim.centralization import GradientCentralization, centralize
from torchstone.optim.create import create
from torchstone.optim.feasible import project
from torchstone.optim.online import Regret, regret
from torchstone.optim.problems import Problem, reddi_online, reddi_stochastic, reddi_theorem1
from torchstone.optim.schedules import InverseSqrt

__all__ = [
    "RULES",
    "AdamNC",
    "GradientCentralization",
    "InverseSqrt",
    "Problem",
    "Regret",
    "Rule",
    "centralize",
    "create",
    "project",
    "reddi_online",
    "reddi_stochastic",
    "reddi_theorem1",
    "regret",
]
