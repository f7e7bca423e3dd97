"""Self-supervised learning: representations from predicting what was done to an image."""

from torchstone.selfsup.affine import RandomAffine
from torchstone.selfsup.projective import RandomProjective, homography
from torchstone.selfsup.rotation import Rotation90
from torchstone.selfsup.sampling import resample
from torchstone.selfsup.transformation import Invertible, Parametric, Transformation

__all__ = [
    "Invertible",
    "Parametric",
    "RandomAffine",
    "RandomProjective",
    "Rotation90",
    "Transformation",
    "homography",
    "resample",
]
