"""What fits the task goes on beyond the lengths of training: stacks reverse, queues copy, deques do both."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from torchstone.lab import Check, Claim, Context, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, power
from torchstone.studies.programs.transducers import HARD, SOFT, Course, Setting, metric, transduced

FITTING = ("stack/reversal", "queue/copy", "deque/reversal", "deque/copy")
WRONG: Mapping[str, str] = {"stack/reversal": "queue/reversal", "queue/copy": "stack/copy"}
LSTM: Mapping[str, str] = {arm: f"LSTM/{arm.partition('/')[2]}" for arm in FITTING}
LSTMS = tuple(dict.fromkeys(LSTM.values()))
PAPERS = ("stack and LSTM/reversal", "queue and LSTM/copy")
"""Memories that an LSTM works, without noise, as in the paper."""
DRAWN = ("stack/reversal", "deque/copy")
GRAMMARS = ("bigram flip", "SVO to SOV", "gender")
RIGHT = 0.9  # of its sequences a network must get right to have solved a length
SOLVED, AHEAD, ZONE = 0.8, 0.6, 0.1
SOFT_CHECK, HARD_CHECK = "fitting memories that solve ×2, share", "the same with whole actions, share"
LSTM_CHECK, WRONG_CHECK = "right at ×2, ahead of the LSTM, share", "right at ×2, ahead of the wrong one, share"
HOPED, SD = 0.95, 0.11  # one network in twenty fails

REPORTED = {
    "stack/reversal": 1.0,
    "queue/copy": 1.0,
    "deque/reversal": 1.0,
    "deque/copy": 1.0,
    "stack/copy": 0.0,
    "LSTM/reversal": 0.04,
    "LSTM/copy": 0.01,
}
"""Sequences of up to twice the length that the paper's networks get right, as a share."""

Shares = Float[np.ndarray, " k"]


@dataclass(frozen=True)
class Size:
    """Seeds, the course, further tasks, and the settings of each arm, the best of them chosen by training loss.

    An arm that has none has those of its kind: ``memory`` or ``LSTM``.
    """

    seeds: int
    course: Course
    settings: Mapping[str, Sequence[Setting]]
    more_tasks: Sequence[str] = ()
    papers_seeds: int = 0

    def arms(self, seed: int) -> list[str]:
        """Networks and tasks, those that decide first."""
        more = [f"{network}/{task}" for task in self.more_tasks for network in ("stack", "queue", "deque", "LSTM")]
        papers = PAPERS if seed < self.papers_seeds else ()
        return [*FITTING, *WRONG.values(), *LSTMS, *papers, *more]


TUNED: Mapping[str, Sequence[Setting]] = {
    "memory": [Setting("RNN", 32, 1e-2, noise=0.5)],
    "deque/reversal": [Setting("RNN", 32, 5e-3, noise=0.5)],
    "deque/copy": [Setting("RNN", 32, 5e-3, noise=0.5, bottom=-2.0)],
    "LSTM": [Setting("LSTM", 128, 2e-2)],
} | {arm: [Setting("LSTM", 32, 1e-2)] for arm in PAPERS}
"""Chosen by hand on the seeds 101 to 106 and, last, 1000 to 1002, by the share of sequences of twice the length that
came out right after 600 to 1200 steps. Tried for the LSTM: widths of 64 and 128, rates of 3e-3, 1e-2 and 2e-2; it got
at most 7 % right. For memories that fit: an RNN, a GRU or an LSTM to work them, rates of 5e-3, 1e-2 and 2e-2, noise
of 0.5 or rising to 1, and a deque's beginnings, 5 to 13 settings each. With what was chosen all queues solved twice
the length, three stacks in four, and two deques that had failed with a rate of 1e-2, as one in four did. For memories
that do not fit: one or two of these, and nothing right. The paper's way was not tuned."""
RATES = (5e-3, 1e-3, 5e-4, 1e-4, 5e-5)
THEIRS: Mapping[str, Sequence[Setting]] = {
    "memory": [Setting("LSTM", hidden, rate) for hidden in (256, 512) for rate in RATES],
    "LSTM": [Setting("LSTM", 256, rate, layers=layers) for layers in (1, 2, 4, 8) for rate in RATES],
}


class MemoryGeneralises(Study):
    """Stack, queue and deque against each other and an LSTM, on sequences longer than those of training."""

    claim = Claim(
        name="memory-generalises-beyond-training-length",
        sentence="A recurrent network with a stack, a queue or a deque that fits the task gets sequences of twice the "
        "length of training entirely right, also with whole pushes and pops in place of soft ones; an LSTM and a "
        "memory that does not fit do not.",
        paper=Paper(
            "Grefenstette, Hermann, Suleyman, Blunsom",
            2015,
            "Learning to Transduce with Unbounded Memory",
            arxiv="1506.02516",
            where="section 4",
        ),
        method=[
            "A network reads a sequence of symbols, then a mark, and must write the sequence backwards (reversal) or "
            "once more (copy). An LSTM must keep all of it in a state of fixed size. A network with a stack can "
            "push while it reads and pop while it writes, and then the length does not matter; likewise a queue for "
            "copies, and a deque, which can be used as either, for both. These memories push and pop by any amount "
            "between 0 and 1, so that gradients can find out what they are for.",
            "Training is on 1 to 12 symbols. The exam is 256 fresh sequences of trained lengths, 256 of 13 to 24 "
            "symbols (twice) and 256 of 25 to 48 (four times), and a sequence is right if all of it is right, the end "
            "included. Each network with a memory is then examined again with every push and pop rounded to 0 or 1 "
            "(whole actions): an ordinary program with an ordinary stack. Wrong on purpose are a stack that must copy "
            "and a queue that must reverse. All networks of a task see the same batches for as many steps.",
            "The memories are worked by a plain recurrent cell: an LSTM in its place first learns much of the "
            "task by heart, and in pilots often did not find out what the memory is for. The paper's way, an LSTM "
            "without noise on its actions, is shown beside it ('stack and LSTM', 'queue and LSTM'), was not tuned, and "
            "decides nothing. Settings were chosen by hand on other seeds, by the sequences of twice the length that "
            "came out right: from six for the LSTM, about as many for each fitting memory (twice as many for the deque "
            "that must copy, the hardest to teach), and one or two for what does not fit. With those chosen, one "
            "fitting memory in six still failed on these seeds, and of ten stacks trained to reverse on further seeds, "
            "after the first judged run, three did: another block of seeds may well come out as weaker.",
            "A network has solved a length if at least nine of ten sequences are right. Training may fail, and a "
            "failure counts; none is begun anew. Decided beforehand, with 95 % t intervals over seeds: confirmed if "
            "the share of fitting memories (the mean over stack/reversal, queue/copy, deque/reversal and deque/copy "
            f"of a seed) that solve twice the length is at least {SOLVED}, with soft and with whole actions; if the "
            "share of sequences of twice the length that are right is, over these four, larger by at least "
            f"{AHEAD} than that of the LSTM on the same task and seed; and, over stack/reversal and queue/copy, by as "
            f"much than that of the wrong memory. A share or a lead within {ZONE} of 0 counts as none.",
        ],
        reported=REPORTED,
        differs=[
            "8 symbols and lengths of 1 to 12, not 128 and 8 to 64; hidden size 32 (the LSTM's: 128), not 256 to 512; "
            "1000 steps of Adam on 64 sequences each. The scale 'paper' has the paper's sizes, its learning rule, and "
            "its grid of learning rates, the best by training loss; how long it trained, the paper does not say.",
            "A plain recurrent cell works the memories, and normal noise is added in training to the numbers that "
            "become actions, so that whole actions pay.",
            "A deque that must copy begins with few pushes at its bottom: two ends that begin alike bury what the "
            "other one pushed.",
            "Twice the length means 13 to 24, all of it beyond training, as the paper's 65 to 128. Whole actions and "
            "four times the length are ours.",
        ],
    )
    scales: ClassVar[Mapping[str, Size]] = {
        "smoke": Size(1, Course(2, 2, 2, 1, 2, 4, 4, "adam", 4), TUNED),
        "laptop": Size(5, Course(1000, 64, 8, 1, 12, 16, 16, "adam", 256), TUNED, papers_seeds=3),
        "paper": Size(5, Course(100_000, 10, 128, 8, 64, 64, 256, "rmsprop", 1000), THEIRS, GRAMMARS),
    }
    compares: ClassVar[Sequence[str]] = (*FITTING, *WRONG.values(), *LSTMS)

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Every network with every seed."""
        return [planned(arm, seed, scale) for seed in range(scale.seeds) for arm in scale.arms(seed)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Train one network, and ask it for longer sequences, as it is and with whole actions."""
        return transduced(trial, context)

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Fitting memories solve twice the length, with whole actions too, and are ahead of what doesn't fit."""
        records = with_all(records, self.compares)
        soft, hard = (solved(records, metric(actions, 2)) for actions in (SOFT, HARD))
        over_lstm, over_wrong = leads(records, LSTM), leads(records, WRONG)
        return Verdict.of(
            Check.at_least(SOFT_CHECK, mean_interval(soft.mean(0)), SOLVED, zone=ZONE),
            Check.at_least(HARD_CHECK, mean_interval(hard.mean(0)), SOLVED, zone=ZONE),
            Check.at_least(LSTM_CHECK, mean_interval(over_lstm.mean(0)), AHEAD, zone=ZONE),
            Check.at_least(WRONG_CHECK, mean_interval(over_wrong.mean(0)), AHEAD, zone=ZONE),
            *rows(records),
            sentence=summary(records),
        )

    def power(self, scale: Size) -> Mapping[str, float]:
        """Were one network in twenty to fail; in pilots more did, one in six. Of other scales nothing is known."""
        if scale != self.scales["laptop"]:
            return {}
        chance = power(HOPED, SD, scale.seeds, threshold=SOLVED)
        return {SOFT_CHECK: chance, HARD_CHECK: chance}

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """Every network as a dot at each length, and what memories did that learned."""
        from torchstone.studies.programs.memory_drawing import dots, traces

        return [
            Figure(
                "Every network, at one, two and four times the length",
                "The share of sequences that come out entirely right, a row for each network and task: a dot a seed as "
                "the network was trained, a diamond with all of its actions rounded to whole ones. Left of the dashed "
                "line a length is not solved. 'stack and LSTM' is a stack that an LSTM works.",
                dots(records, arms_of(records), RIGHT),
            ),
            *traces(records, DRAWN),
        ]


def planned(arm: str, seed: int, scale: Size) -> Trial:
    """A trial: which memory, which task, by which settings."""
    network, _, task = arm.partition("/")
    memory = None if network == "LSTM" else network.partition(" and ")[0]
    kind = "memory" if memory else "LSTM"
    config = {
        "memory": memory,
        "task": task,
        "course": asdict(scale.course),
        "settings": [list(setting) for setting in scale.settings.get(arm, scale.settings[kind])],
        "steps": scale.course.steps,
    }
    return Trial(arm, seed, config)


def arms_of(records: Sequence[Record]) -> list[str]:
    """The arms that have a record, in the order of the plan."""
    return list(dict.fromkeys(record.trial.arm for record in records))


def column(records: Sequence[Record], arm: str, name: str) -> Shares:
    """A metric of an arm, by seed."""
    found = {record.trial.seed: record.metrics[name] for record in records if record.trial.arm == arm}
    return np.array([found[seed] for seed in sorted(found)])


def with_all(records: Sequence[Record], arms: Sequence[str]) -> list[Record]:
    """The records of seeds that all of these arms have."""
    seeds = set.intersection(*({r.trial.seed for r in records if r.trial.arm == arm} for arm in arms))
    return [record for record in records if record.trial.seed in seeds]


def solved(records: Sequence[Record], name: str) -> Shares:
    """(fitting arms, seeds): 1 where at least nine of ten sequences are right, 0 where not, NaN where it diverged."""
    shares = np.stack([column(records, arm, name) for arm in FITTING])
    return np.where(np.isnan(shares), np.nan, shares >= RIGHT)


def leads(records: Sequence[Record], rivals: Mapping[str, str]) -> Shares:
    """(arms, seeds): how many more sequences of twice the length are right than a rival gets, as a share."""
    name = metric(SOFT, 2)
    return np.stack([column(records, arm, name) - column(records, rival, name) for arm, rival in rivals.items()])


def rows(records: Sequence[Record]) -> list[Check]:
    """The shares of sequences that are right, arm by arm: they decide nothing."""
    found = [shown(records, arm, SOFT, 2, REPORTED.get(arm)) for arm in arms_of(records)]
    further = ((HARD, 2), (SOFT, 4), (HARD, 4))
    return found + [shown(records, arm, actions, times) for arm in FITTING for actions, times in further]


def shown(records: Sequence[Record], arm: str, actions: str, times: int, reported: float | None = None) -> Check:
    """One of these rows."""
    name = metric(actions, times)
    return Check.report(f"{arm}, {name}", mean_interval(column(records, arm, name)), reported=reported)


def summary(records: Sequence[Record]) -> str:
    """How many networks succeed and fail, and how far those get that can't."""
    right = {(how, times): solved(records, metric(how, times)) for how in (SOFT, HARD) for times in (2, 4)}
    count = {which: int(np.nansum(table)) for which, table in right.items()}
    failed = {arm: int((row != 1).sum()) for arm, row in zip(FITTING, right[SOFT, 2], strict=True)}
    failures = ", ".join(f"{arm} {number}" for arm, number in failed.items() if number)
    others = {
        which: np.mean([column(records, arm, metric(SOFT, 2)).mean() for arm in arms])
        for which, arms in (("LSTM", LSTMS), ("wrong", tuple(WRONG.values())))
    }
    return (
        f"Of {right[SOFT, 2].size} networks with a memory that fits, {count[SOFT, 2]} get nine in ten sequences of "
        f"twice the length right, {count[HARD, 2]} with whole actions ({count[SOFT, 4]} and {count[HARD, 4]} at four "
        f"times the length); failures: {failures or 'none'}. The LSTM gets {others['LSTM']:.1%} right, the wrong "
        f"memory {others['wrong']:.1%}."
    )
