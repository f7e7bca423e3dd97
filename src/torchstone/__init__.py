"""Torchstone: a PyTorch laboratory in which deep-learning claims are run, not read.

Three doors: the library (``torchstone.similarity`` and its sisters), the claims (``torchstone run``), the tools
(``torchstone compare``). Sub-packages load when they are first used.
"""

from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

_SUBPACKAGES = (
    "data",
    "fewshot",
    "lab",
    "metric",
    "nets",
    "optim",
    "probes",
    "selfsup",
    "similarity",
    "spectral",
    "studies",
    "training",
)
__all__ = ["__version__", *_SUBPACKAGES]


def __getattr__(name: str) -> ModuleType:
    if name in _SUBPACKAGES:
        return import_module(f"torchstone.{name}")
    raise AttributeError(
        f"module 'torchstone' has no attribute '{name}'; its sub-packages are {', '.join(_SUBPACKAGES)}."
    )


def __dir__() -> list[str]:
    return __all__
