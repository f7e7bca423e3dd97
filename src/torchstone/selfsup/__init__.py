"""Self-supervised learning: representations from predicting what was done to an image.

Methods (:class:`AET`, :class:`AED`, :class:`RotNet`) have scikit-learn's manners; transformations are drawn, applied
and named in batches; ``features`` gives what probes are fitted to.
"""

from torchstone.selfsup.aed import AED
from torchstone.selfsup.aet import AET, TransformationError
from torchstone.selfsup.affine import RandomAffine
from torchstone.selfsup.features import features
from torchstone.selfsup.losses import image_loss, matrix_loss, parameter_loss
from torchstone.selfsup.projective import RandomProjective, homography
from torchstone.selfsup.recipe import Recipe
from torchstone.selfsup.rotation import Rotation90
from torchstone.selfsup.rotnet import RotNet
from torchstone.selfsup.sampling import resample
from torchstone.selfsup.transformation import Invertible, Parametric, Transformation

__all__ = [
    "AED",
    "AET",
    "Invertible",
    "Parametric",
    "RandomAffine",
    "RandomProjective",
    "Recipe",
    "RotNet",
    "Rotation90",
    "Transformation",
    "TransformationError",
    "features",
    "homography",
    "image_loss",
    "matrix_loss",
    "parameter_loss",
    "resample",
]
