"""Training: one loop for any method, with checkpoints that survive a kill and a resume that is exact to the bit."""

from torchstone.training.batches import RandomAccess
from torchstone.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from torchstone.training.evaluation import evaluating
from torchstone.training.history import History
from torchstone.training.loop import NonFiniteLossError, Round, fit
from torchstone.training.player import Player

__all__ = [
    "Checkpoint",
    "History",
    "NonFiniteLossError",
    "Player",
    "RandomAccess",
    "Round",
    "evaluating",
    "fit",
    "load_checkpoint",
    "save_checkpoint",
]
