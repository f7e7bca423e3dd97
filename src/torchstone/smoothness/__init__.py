"""What is known of a program before it runs a training step: smoothness, gradients that arrive, Lipschitz bounds."""

from torchstone.smoothness.check import check
from torchstone.smoothness.declared import smooth, verify_smooth
from torchstone.smoothness.differentiable import differentiable
from torchstone.smoothness.maps import Map
from torchstone.smoothness.orders import Order
from torchstone.smoothness.report import Condition, Decision, Finding, Kink, NotDifferentiableError, Report, Site
from torchstone.smoothness.rules import register
from torchstone.smoothness.types import C0, C1, C2, Analytic, Lipschitz, PiecewiseLinear, Smooth
from torchstone.smoothness.watch import Watch

__all__ = [
    "C0",
    "C1",
    "C2",
    "Analytic",
    "Condition",
    "Decision",
    "Finding",
    "Kink",
    "Lipschitz",
    "Map",
    "NotDifferentiableError",
    "Order",
    "PiecewiseLinear",
    "Report",
    "Site",
    "Smooth",
    "Watch",
    "check",
    "differentiable",
    "register",
    "smooth",
    "verify_smooth",
]
