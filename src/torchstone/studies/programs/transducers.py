"""Networks that copy and reverse sequences: what they are made of, how they learn, and how far they go on."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from torchstone.lab import Context, Outcome, Trial
from torchstone.nets.seeded import seeded
from torchstone.programs.memory import Memory, MemoryRNN, NeuralDeque, NeuralQueue, NeuralStack, Transducer, hardened
from torchstone.programs.memory.tasks import (
    BigramFlip,
    Copy,
    GenderConjugation,
    Reversal,
    SequenceBatch,
    SvoToSov,
    Task,
)
from torchstone.programs.memory.tasks.transduction import SymbolTask
from torchstone.studies.programs.sequence_learning import answered, learn, objective
from torchstone.training import Player

MEMORIES: Mapping[str, type[Memory]] = {"stack": NeuralStack, "queue": NeuralQueue, "deque": NeuralDeque}
CELLS: Mapping[str, type[nn.RNNCell] | type[nn.LSTMCell]] = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell}
TASKS: Mapping[str, type[Task]] = {
    "copy": Copy,
    "reversal": Reversal,
    "bigram flip": BigramFlip,
    "SVO to SOV": SvoToSov,
    "gender": GenderConjugation,
}
SOFT, HARD = "soft", "hard"
TIMES = (1, 2, 4)  # how many times as long as in training


@dataclass(frozen=True)
class Course:
    """How networks learn and are examined, alike for all of them.

    Args:
        steps: of training.
        batch: sequences in a step.
        symbols: how many different ones there are.
        shortest, longest: symbols in a sequence of training.
        embedding: numbers for a symbol on its way in.
        width: numbers in a value of a memory.
        optimizer: ``adam``, its rate going up and down, or ``rmsprop`` with one rate throughout.
        exam: sequences of each length that are asked for.
    """

    steps: int
    batch: int
    symbols: int
    shortest: int
    longest: int
    embedding: int
    width: int
    optimizer: str
    exam: int

    def task(self, name: str, times: int, batch: int, seed: int) -> Task:
        """Sequences as long as those of training, or longer than half of ``times`` as long and up to that."""
        lengths = (self.shortest, self.longest) if times == 1 else (times * self.longest // 2 + 1, times * self.longest)
        kind = TASKS[name]
        more = {"symbols": self.symbols} if issubclass(kind, SymbolTask) else {}
        return kind(lengths=lengths, batch=batch, seed=seed, **more)


class Setting(NamedTuple):
    """What is tuned: the recurrent part, the learning rate, the noise on actions, and how a deque begins.

    Args:
        cell: what works a memory, ``RNN`` or ``LSTM``.
        hidden: its width, or that of an LSTM on its own.
        rate: the learning rate, at its highest.
        noise: standard deviation of the noise on the numbers that become actions.
        layers: of an LSTM on its own.
        bottom: what is added to the bias of pushes at the bottom of a deque, to begin with: two ends that begin alike
            bury what the other one pushed.
    """

    cell: str
    hidden: int
    rate: float
    noise: float = 0.0
    layers: int = 1
    bottom: float = 0.0


def transduced(trial: Trial, context: Context) -> Outcome:
    """Train with each setting of the trial, keep the network of the least loss, and examine it.

    Raises:
        FloatingPointError: training diverged with every setting.
    """
    course = Course(**trial.config["course"])
    settings = [Setting(*setting) for setting in trial.config["settings"]]
    least, best = torch.inf, None
    for place, setting in enumerate(settings):
        model = network(trial, course, setting).to(context.device)
        with suppress(FloatingPointError):
            loss = train(model, trial, course, setting, one_of(context, place, len(settings)))
            if loss < least:
                least, best = loss, model
    if best is None:
        raise FloatingPointError("Training diverged with every setting.")
    metrics = {"loss": least, "parameters": float(sum(p.numel() for p in best.parameters()))}
    metrics |= examined(best, SOFT, trial, course)
    if not isinstance(best.rnn, MemoryRNN):
        return Outcome(metrics)
    return Outcome(metrics | examined(hardened(best), HARD, trial, course), traced(best.rnn, best, trial, course))


def one_of(context: Context, place: int, places: int) -> Context:
    """The context of one of several trainings of a trial."""

    def progress(fraction: float, note: str) -> None:
        context.progress((place + fraction) / places, note)

    return replace(context, scratch=context.scratch / f"setting-{place}", progress=progress)


def network(trial: Trial, course: Course, setting: Setting) -> Transducer:
    """Words in, words out, by a cell that works a memory or, without one, by layers of LSTM."""
    words = len(course.task(trial.config["task"], 1, 1, 0).words)
    with seeded(trial.seed):
        rnn = recurrent(trial.config["memory"], course, setting, trial.seed)
    return Transducer(words, rnn, seed=trial.seed)


def recurrent(memory: str | None, course: Course, setting: Setting, seed: int) -> nn.LSTM | MemoryRNN:
    """What comes between embedding and output; its weights are drawn from torch's global generator."""
    if memory is None:
        return nn.LSTM(course.embedding, setting.hidden, setting.layers, batch_first=True)
    structure = MEMORIES[memory](course.width)
    reads = math.prod(structure.ends) * structure.read_width
    cell = CELLS[setting.cell](course.embedding + reads, setting.hidden)
    rnn = MemoryRNN(cell, structure, noise=setting.noise, batch_first=True, seed=seed)
    rnn.interface.bias.detach().view(math.prod(structure.ends), -1)[1:, 0] += setting.bottom
    return rnn


def train(model: Transducer, trial: Trial, course: Course, setting: Setting, context: Context) -> float:
    """One training; returns the mean loss of its last tenth."""
    if course.optimizer == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), setting.rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, setting.rate, total_steps=course.steps)
    else:
        optimizer, schedule = torch.optim.RMSprop(model.parameters(), setting.rate), None
    player = Player(model, objective(model, context.device), optimizer, scheduler=schedule)
    batches = course.task(trial.config["task"], 1, course.batch, 2 * trial.seed)
    history = learn(player, batches, steps=course.steps, seed=trial.seed, context=context)
    return float(history.metrics["player/loss"][-max(1, course.steps // 10) :].mean())


def examined(model: Transducer, name: str, trial: Trial, course: Course) -> dict[str, float]:
    """Shares of fresh sequences that are right, and of what is right before the first error, length by length."""
    found: dict[str, float] = {}
    for times in TIMES:
        coarse, fine = answered(model, exam(trial, course, times))
        found |= {metric(name, times): float(coarse.mean()), f"{metric(name, times)}, fine": float(fine.mean())}
    return found


def exam(trial: Trial, course: Course, times: int) -> SequenceBatch:
    """Sequences that were not trained on, so many times as long."""
    return course.task(trial.config["task"], times, course.exam, 2 * trial.seed + 1).at(0)


def metric(name: str, times: int) -> str:
    """What the share of whole sequences is called, of those so many times as long as in training.

    >>> metric(HARD, 2)
    'hard ×2'
    """
    return f"{name} ×{times}"


def traced(rnn: MemoryRNN, model: Transducer, trial: Trial, course: Course) -> dict[str, Tensor]:
    """What the memory did at each step of the longest of the sequences, and that sequence."""
    batch = exam(trial, course, 1).to(next(model.parameters()).device)
    there = batch.mask.sum(1)
    words = batch.inputs[there.argmax()][: there.max()]
    with torch.no_grad():
        trace = rnn.trace(model.embedding(words))
    return {"words": words.cpu(), "push": trace.push, "pop": trace.pop, "strengths": trace.strengths}
