"""What each torch function does to smoothness, gradients and distances: tables, one row an operation."""

from torchstone.smoothness.rules.flat import FLAT
from torchstone.smoothness.rules.kinked import KINKED
from torchstone.smoothness.rules.layers import LAYERS
from torchstone.smoothness.rules.linear import LINEAR
from torchstone.smoothness.rules.powers import POWERS
from torchstone.smoothness.rules.products import PRODUCTS
from torchstone.smoothness.rules.rule import Need, Rule
from torchstone.smoothness.rules.smooth import SMOOTH
from torchstone.smoothness.rules.users import find, register

__all__ = ["FLAT", "KINKED", "LAYERS", "LINEAR", "POWERS", "PRODUCTS", "SMOOTH", "Need", "Rule", "find", "register"]
