"""First-order optimizers, gradient centralization, online regret, trajectories."""

from torchstone.optim.adadelta import Adadelta
from torchstone.optim.adagrad import AdagradInRoot
from torchstone.optim.adamnc import AdamNC
from torchstone.optim.amsgrad import AMSGrad
from torchstone.optim.catalogue import RULES, Rule, Variant
from torchstone.optim.centralization import GradientCentralization, centralize
from torchstone.optim.create import create
from torchstone.optim.epsilon_hat import EpsilonHatAdam
from torchstone.optim.feasible import project
from torchstone.optim.nadam import Nadam
from torchstone.optim.online import Regret, regret
from torchstone.optim.problems import Problem, reddi_online, reddi_stochastic, reddi_theorem1
from torchstone.optim.rmsprop import RMSProp
from torchstone.optim.rmsprop_momentum import RMSPropMomentum
from torchstone.optim.schedules import InverseSqrt
from torchstone.optim.velocity import Velocity

__all__ = [
    "RULES",
    "AMSGrad",
    "Adadelta",
    "AdagradInRoot",
    "AdamNC",
    "EpsilonHatAdam",
    "GradientCentralization",
    "InverseSqrt",
    "Nadam",
    "Problem",
    "RMSProp",
    "RMSPropMomentum",
    "Regret",
    "Rule",
    "Variant",
    "Velocity",
    "centralize",
    "create",
    "project",
    "reddi_online",
    "reddi_stochastic",
    "reddi_theorem1",
    "regret",
]
