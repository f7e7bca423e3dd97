"""What is known of a program before it runs a training step: smoothness, gradients that arrive, Lipschitz bounds."""

from torchstone.smoothness.orders import Order
from torchstone.smoothness.report import Condition, Decision, Finding, Kink, NotDifferentiableError, Report, Site

__all__ = [
    "Condition",
    "Decision",
    "Finding",
    "Kink",
    "NotDifferentiableError",
    "Order",
    "Report",
    "Site",
]
