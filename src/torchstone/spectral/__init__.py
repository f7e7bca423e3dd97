"""The Fourier view of a network."""

from torchstone.spectral.fourier_features import FourierFeatures
from torchstone.spectral.monitor import FrequencyMonitor
from torchstone.spectral.perturbation import PerturbationSpectrum, perturbation_spectrum
from torchstone.spectral.signals import SumOfSines, coefficients
from torchstone.spectral.siren import SineLayer, Siren
from torchstone.spectral.times import Ratio, Times, time_to_fraction

__all__ = [
    "FourierFeatures",
    "FrequencyMonitor",
    "PerturbationSpectrum",
    "Ratio",
    "SineLayer",
    "Siren",
    "SumOfSines",
    "Times",
    "coefficients",
    "perturbation_spectrum",
    "time_to_fraction",
]
