"""The Fourier view of a network."""

from torchstone.spectral.fourier_features import FourierFeatures
from torchstone.spectral.function import NotPiecewiseLinearError, TooManyRegionsError
from torchstone.spectral.kernel_eigenbasis import KernelEigenbasis, kernel_eigenbasis, project
from torchstone.spectral.label_noise import radial_label_noise
from torchstone.spectral.lipschitz import LipschitzBounds, lipschitz_bounds, spectral_norms
from torchstone.spectral.manifolds import petal_manifold
from torchstone.spectral.measure import SpectralWarning, measure
from torchstone.spectral.monitor import FrequencyMonitor
from torchstone.spectral.perturbation import PerturbationSpectrum, perturbation_spectrum
from torchstone.spectral.polygons import polygon_indicator_ft
from torchstone.spectral.regions_2d import PiecewiseLinear2d, relu_regions_2d
from torchstone.spectral.relu_1d import PiecewiseLinear1d, relu_regions_1d, relu_regions_on_line
from torchstone.spectral.signals import SumOfSines, coefficients
from torchstone.spectral.siren import SineLayer, Siren
from torchstone.spectral.spectrum import Spectrum, decay_exponent
from torchstone.spectral.times import Ratio, Times, rank_correlation, time_to_fraction

__all__ = [
    "FourierFeatures",
    "FrequencyMonitor",
    "KernelEigenbasis",
    "LipschitzBounds",
    "NotPiecewiseLinearError",
    "PerturbationSpectrum",
    "PiecewiseLinear1d",
    "PiecewiseLinear2d",
    "Ratio",
    "SineLayer",
    "Siren",
    "SpectralWarning",
    "Spectrum",
    "SumOfSines",
    "Times",
    "TooManyRegionsError",
    "coefficients",
    "decay_exponent",
    "kernel_eigenbasis",
    "lipschitz_bounds",
    "measure",
    "perturbation_spectrum",
    "petal_manifold",
    "polygon_indicator_ft",
    "project",
    "radial_label_noise",
    "rank_correlation",
    "relu_regions_1d",
    "relu_regions_2d",
    "relu_regions_on_line",
    "spectral_norms",
    "time_to_fraction",
]
