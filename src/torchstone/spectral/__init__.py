"""The Fourier view of a network."""

from torchstone.spectral.monitor import FrequencyMonitor
from torchstone.spectral.signals import SumOfSines, coefficients
from torchstone.spectral.times import Ratio, Times, time_to_fraction

__all__ = [
    "FrequencyMonitor",
    "Ratio",
    "SumOfSines",
    "Times",
    "coefficients",
    "time_to_fraction",
]
