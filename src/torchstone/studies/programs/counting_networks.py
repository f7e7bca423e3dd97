"""What the claim about counting trains and examines: three small networks, five languages, and brackets."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from torchstone.lab import Context, Outcome, Trial
from torchstone.nets.seeded import seeded
from torchstone.programs.memory import MemoryRNN, SuperpositionStack, Transducer, hardened
from torchstone.programs.memory.tasks import Counting, Dyck, SequenceBatch
from torchstone.programs.memory.tasks.counting import RUNS
from torchstone.studies.programs.sequence_learning import answered, learn, objective
from torchstone.training import Player, RandomAccess

STACK, PLAIN, LSTM = "stack", "plain", "LSTM"
BEYOND, HARDENED = "beyond", "beyond, hardened"
LANGUAGES, BRACKETS = tuple(RUNS), "Dyck-2"
LONGEST, FAR = 19, 60  # the greatest n that is trained on, and that is asked for
DEEP, DEEPER = 20, 80  # the same for brackets
EMBEDDING = 8


class Setting(NamedTuple):
    """What was tuned.

    The highest learning rate, the share of the steps in which it rises, the share in which strings grow, the width of
    the recurrent layer, how many stacks there are, and the noise that their actions end with.
    """

    rate: float
    warming: float
    growing: float
    hidden: int
    copies: int = 0
    noise: float = 0.0


@dataclass(frozen=True)
class Growing:
    """Strings of a language that get longer while one learns: n up to 2 at first, up to 19 after so many steps."""

    task: Counting
    steps: float

    def at(self, step: int) -> SequenceBatch:
        """The batch of a step."""
        grown = int((LONGEST - 1) * step / self.steps)
        return replace(self.task, lengths=(1, min(LONGEST, 2 + grown))).at(step)


class Exam(NamedTuple):
    """Strings to be continued, the size of each (n, or how many brackets), and the largest size of training."""

    batch: SequenceBatch
    sizes: Int64[Tensor, " b"]
    trained: int


def lessons(task: Counting | Dyck, growing: float) -> RandomAccess:
    """What is trained on: strings of a language grow for so many steps, brackets do not."""
    return Growing(task, growing) if isinstance(task, Counting) else task


def task_of(name: str, seed: int) -> Counting | Dyck:
    """A language by its name, or brackets."""
    if name == BRACKETS:
        return Dyck(kinds=2, lengths=(2, DEEP), batch=64, seed=seed)
    return Counting(language=name, lengths=(1, LONGEST), batch=16, seed=seed)  # type: ignore[arg-type]


def exam_of(task: Counting | Dyck) -> Exam:
    """Every n up to 60, and with it an m that goes through the same numbers in another order; 400 rows of brackets."""
    if isinstance(task, Dyck):
        batch = replace(task, lengths=(2, DEEPER), batch=400).at(0)
        return Exam(batch, batch.mask.sum(1) - 1, DEEP)
    sizes = torch.arange(1, FAR + 1)
    strings = [task.string(n, 17 * n % (FAR + 1)) for n in sizes.tolist()]
    return Exam(task.encode(strings), sizes, LONGEST)


def network(arm: str, words: int, hidden: int, copies: int, seed: int) -> Transducer:
    """Words in, words out, by an LSTM, by a plain recurrent layer, or by one that works stacks of numbers."""
    if arm == STACK:
        stack = SuperpositionStack(width=1, empty=-1.0, top=2)
        with seeded(seed):
            cell = nn.RNNCell(EMBEDDING + copies * stack.read_width, hidden)
        return Transducer(words, MemoryRNN(cell, stack, copies=copies, batch_first=True, seed=seed), seed=seed)
    with seeded(seed):
        rnn = (nn.LSTM if arm == LSTM else nn.RNN)(EMBEDDING, hidden, batch_first=True)
    return Transducer(words, rnn, seed=seed)


def counted(trial: Trial, context: Context) -> Outcome:
    """Train the network of a trial on its task, and examine it."""
    config, task = trial.config, task_of(trial.config["task"], trial.seed)
    exam = exam_of(task)
    model = network(trial.arm, len(task.words), config["hidden"], config["copies"], trial.seed)
    train(model.to(context.device), lessons(task, config["growing"] * config["steps"]), trial, context)
    right = answered(model, exam.batch).coarse.cpu()
    metrics = shares(right, exam) | {"parameters": float(sum(p.numel() for p in model.parameters()))}
    if trial.arm == STACK:
        metrics[HARDENED] = shares(answered(hardened(model), exam.batch).coarse.cpu(), exam)[BEYOND]
    return Outcome(metrics, {"sizes": exam.sizes, "right": right})


def train(model: Transducer, batches: RandomAccess, trial: Trial, context: Context) -> None:
    """Adam, with a learning rate that goes up and down, and noise on a stack's actions that goes up."""
    steps, rate, warming, noise = (trial.config[name] for name in ("steps", "rate", "warming", "noise"))
    optimizer = torch.optim.Adam(model.parameters(), rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=warming)
    loss = objective(model, context.device)

    def noisy_loss(batch: SequenceBatch) -> Tensor:
        if isinstance(model.rnn, MemoryRNN):
            model.rnn.noise = noise * schedule.last_epoch / steps
        return loss(batch)

    player = Player(model, noisy_loss, optimizer, scheduler=schedule)
    learn(player, batches, steps=steps, seed=trial.seed, context=context)


def shares(right: Float[Tensor, " b"], exam: Exam) -> dict[str, float]:
    """How many strings are right: of all, of sizes that were trained on, and of larger ones."""
    beyond = exam.sizes > exam.trained
    parts = {"all": right, "within": right[~beyond], BEYOND: right[beyond]}
    return {name: float(part.mean()) for name, part in parts.items()}
