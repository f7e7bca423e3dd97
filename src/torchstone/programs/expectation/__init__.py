"""Expectations to be minimised: one loss for every kind of noise, and the estimator that is right for it."""

from torchstone.programs.expectation.bounds import elbo, iwae
from torchstone.programs.expectation.choice import BiasedGradientError
from torchstone.programs.expectation.enumeration import Enumerate
from torchstone.programs.expectation.estimators import Estimator
from torchstone.programs.expectation.expectation import Expectation
from torchstone.programs.expectation.gradient import Gradient
from torchstone.programs.expectation.pathwise import Pathwise
from torchstone.programs.expectation.relaxed import Gumbel, StraightThrough
from torchstone.programs.expectation.score import Score

__all__ = [
    "BiasedGradientError",
    "Enumerate",
    "Estimator",
    "Expectation",
    "Gradient",
    "Gumbel",
    "Pathwise",
    "Score",
    "StraightThrough",
    "elbo",
    "iwae",
]
