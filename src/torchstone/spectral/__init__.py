"""The Fourier view of a network."""

from torchstone.spectral.fourier_features import FourierFeatures
from torchstone.spectral.monitor import FrequencyMonitor
from torchstone.spectral.signals import SumOfSines, coefficients
from torchstone.spectral.siren import SineLayer, Siren
from torchstone.spectral.times import Ratio, Times, time_to_fraction

__all__ = [
    "FourierFeatures",
    "FrequencyMonitor",
    "Ratio",
    "SineLayer",
    "Siren",
    "SumOfSines",
    "Times",
    "coefficients",
    "time_to_fraction",
]
