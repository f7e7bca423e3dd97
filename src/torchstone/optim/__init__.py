"""First-order optimizers, gradient centralization, online regret, trajectories."""

from torchstone.optim.adadelta import Adadelta
from torchstone.optim.adagrad import AdagradInRoot
from torchstone.optim.adamnc import AdamNC
from torchstone.optim.amsgrad import AMSGrad
from torchstone.optim.animation import animate
from torchstone.optim.bounds import amsgrad_bound
from torchstone.optim.catalogue import RULES, Rule, Variant
from torchstone.optim.centralization import GradientCentralization, centralize
from torchstone.optim.create import create
from torchstone.optim.epsilon_hat import EpsilonHatAdam
from torchstone.optim.feasible import project
from torchstone.optim.nadam import Nadam
from torchstone.optim.online import Regret, regret
from torchstone.optim.problems import Problem, reddi_online, reddi_stochastic, reddi_theorem1
from torchstone.optim.race import Race, race
from torchstone.optim.rate_grid import Grid
from torchstone.optim.rmsprop import RMSProp
from torchstone.optim.rmsprop_momentum import RMSPropMomentum
from torchstone.optim.schedules import InverseSqrt
from torchstone.optim.surfaces import SURFACES, Surface, quadratic
from torchstone.optim.velocity import Velocity

__all__ = [
    "RULES",
    "SURFACES",
    "AMSGrad",
    "Adadelta",
    "AdagradInRoot",
    "AdamNC",
    "EpsilonHatAdam",
    "GradientCentralization",
    "Grid",
    "InverseSqrt",
    "Nadam",
    "Problem",
    "RMSProp",
    "RMSPropMomentum",
    "Race",
    "Regret",
    "Rule",
    "Surface",
    "Variant",
    "Velocity",
    "amsgrad_bound",
    "animate",
    "centralize",
    "create",
    "project",
    "quadratic",
    "race",
    "reddi_online",
    "reddi_stochastic",
    "reddi_theorem1",
    "regret",
]
