"""Tasks that need a memory: batches of sequences from a seed, and how well they were predicted."""

from torchstone.programs.memory.tasks.counting import Counting
from torchstone.programs.memory.tasks.dyck import Dyck
from torchstone.programs.memory.tasks.grammars import GenderConjugation, SvoToSov
from torchstone.programs.memory.tasks.score import Score, score, sequence_loss
from torchstone.programs.memory.tasks.task import Example, SequenceBatch, Task
from torchstone.programs.memory.tasks.transduction import BigramFlip, Copy, Reversal

__all__ = [
    "BigramFlip",
    "Copy",
    "Counting",
    "Dyck",
    "Example",
    "GenderConjugation",
    "Reversal",
    "Score",
    "SequenceBatch",
    "SvoToSov",
    "Task",
    "score",
    "sequence_loss",
]
