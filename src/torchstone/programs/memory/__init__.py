"""Memories that a network learns to use: differentiable stacks, queues and deques, a controller, and tasks for them."""

from torchstone.programs.memory.controller import RNNState
from torchstone.programs.memory.deque import NeuralDeque
from torchstone.programs.memory.memory import Memory, MemoryState
from torchstone.programs.memory.queue import NeuralQueue
from torchstone.programs.memory.rnn import LongSequenceWarning, MemoryRNN, hardened
from torchstone.programs.memory.stack import NeuralStack
from torchstone.programs.memory.superposition import SuperpositionStack
from torchstone.programs.memory.trace import Trace
from torchstone.programs.memory.transducer import Transducer

__all__ = [
    "LongSequenceWarning",
    "Memory",
    "MemoryRNN",
    "MemoryState",
    "NeuralDeque",
    "NeuralQueue",
    "NeuralStack",
    "RNNState",
    "SuperpositionStack",
    "Trace",
    "Transducer",
    "hardened",
]
