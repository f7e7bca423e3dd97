"""Cut and poisoned gradients are found before training: mutants of many programs, with autograd as the judge."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchstone.lab import Check, Claim, Context, Estimate, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, power_of_share, share_interval
from torchstone.studies.smoothness.mutations import HARMLESS, MUTATIONS, Mutation, opened
from torchstone.studies.smoothness.programs import PROGRAMS
from torchstone.studies.smoothness.trial import COLUMNS, places, row

UNMUTATED = "nothing at all"
KINDS: Mapping[str, Sequence[Mutation]] = {
    **MUTATIONS,
    UNMUTATED: (opened,),
    **{name: (mutation,) for name, mutation in HARMLESS.items()},
}
RECALL, QUIET, FAST = 0.95, 0.98, 0.5
SECOND = 1.0


@dataclass(frozen=True)
class Size:
    """The programs, and at how many places of each every kind of mutation is tried."""

    programs: Sequence[str]
    places: int


class CutsAreFound(Study):
    """Mutants of correct programs: what the check says before training against what autograd does."""

    claim = Claim(
        name="cuts-are-found-before-training",
        sentence="One run of a training program before its first step finds at least 95 % of the lines that cut or "
        "poison the gradient of a parameter, with false alarms on at most 2 % of sound programs, in under a second.",
        paper=Paper(
            "Saeta, Shabalin",
            2021,
            "Swift for TensorFlow: A portable, flexible platform for deep learning",
            arxiv="2102.13243",
        ),
        method=[
            f"We take {len(PROGRAMS)} small correct training programs (classifiers, recurrent networks, attention, "
            "autoencoders, pairs, policies, a differential equation, a GAN, ...) and make a mistake in one line: a "
            "detach, a stage in no_grad, an argmax, rounding, numbers taken out by .item(), integers, .data, a "
            "result that is forgotten, a square root at 0, a where that hides a NaN. The seed draws the places.",
            "Autograd says what is true. On three other draws of weights and data we call backward: a mutant counts "
            "if some parameter gets no gradient (or zeros) on all three, or NaN or infinity on all three. A mistake "
            "that leaves every gradient alone is no mutant: another path goes round the cut, or torch's own derivative "
            "at a zero is finite. How many there are, and how often the check warns of them, is shown and not judged.",
            "The check sees one run of the mutant. A mutant is found if the check reports an error about a parameter "
            "that autograd calls dead, or, where gradients are poisoned, a warning of infinite or NaN gradients, and "
            "did not report it of the program without the mistake. A check that fails finds nothing.",
            "False alarms are counted on the programs themselves, and on harmless changes that use the same "
            "operations: metrics in no_grad, .item() for a log, straight-through rounding, a frozen teacher, a root "
            "with an eps, ... if autograd calls every gradient sound on all three draws. Any error, any warning of "
            "infinite or NaN gradients, and any failure of the check is a false alarm.",
            "Confirmed if the lower end of the 95 % interval (Wilson's) is at least 0.95 for the share of mutants "
            "found, at least 0.98 for the share of sound programs without an alarm, and at least one half for the "
            "share of checks that take less than a second of processor time (so the median does). Beside it: how many "
            "mutants loss.backward() itself raises an error on, and whether the line that the check names is the "
            "mutated one.",
        ],
        differs=[
            "The paper describes a language whose compiler says what cannot be differentiated, and reports no such "
            "numbers; this is a library that watches one run in Python. The thresholds are this project's.",
            "Programs and mistakes were written by the authors of the check. The intervals are about further draws "
            "from these, not about all programs there are.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(tuple(PROGRAMS)[:3], places=1),
        "laptop": Size(tuple(PROGRAMS), places=6),
        "paper": Size(tuple(PROGRAMS), places=100),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """One for each program."""
        return [Trial(name, 0, {"places": scale.places}) for name in scale.programs]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Every kind of mutation at places drawn at random: how many there were, and what became of them."""
        generator = torch.Generator().manual_seed(trial.seed)
        available = places(trial.arm, trial.seed)
        counts, seconds = torch.zeros(len(KINDS), len(COLUMNS), dtype=torch.int64), []
        for k, (kind, variants) in enumerate(KINDS.items()):
            wanted = 1 if kind == UNMUTATED else trial.config["places"]
            for place in torch.randperm(available, generator=generator)[:wanted].tolist():
                draw, choice = torch.randint(2**31, (2,), generator=generator).tolist()
                seen, spent = row(trial.arm, draw, place, variants[choice % len(variants)])
                counts[k] += torch.tensor(seen)
                seconds.append(spent)
            context.progress((k + 1) / len(KINDS), kind)
        metrics = dict(zip(COLUMNS, counts.sum(0).tolist(), strict=True))
        times = torch.tensor(seconds, dtype=torch.float64)
        return Outcome(metrics | {"median seconds": float(times.median())}, {"counts": counts, "seconds": times})

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Recall, silence on sound programs, and a second: each by the lower end of its interval."""
        table = total(records)
        seconds = torch.cat([record.artifacts["seconds"] for record in records])
        fast = share_interval(int((seconds < SECOND).sum()), len(seconds))
        harmed, found, raised = (summed(table, MUTATIONS, column) for column in ("harmed", "found", "raised"))
        sound, alarmed = (summed(table, [UNMUTATED, *HARMLESS], column) for column in ("intact", "alarmed"))
        checks = [
            Check.at_least("mutants found", share_interval(found, harmed), RECALL, zone=0.05),
            Check.at_least("sound programs without alarm", share_interval(sound - alarmed, sound), QUIET, zone=0.05),
            Check.at_least("checks under a second", fast, FAST, zone=0.05),
            Check.report("mutants that backward() raises on", share_interval(raised, harmed)),
            *besides(records, table),
        ]
        alarms = f"{alarmed} false alarm" + "s" * (alarmed != 1)
        sentence = (
            f"The check finds {found} of {harmed} mutants, of which loss.backward() raises on {raised}, and gives "
            f"{alarms} on {sound} sound programs; its median time is {float(seconds.median()):.3f} s."
        )
        return Verdict.of(*checks, sentence=sentence)

    def power(self, scale: Size) -> Mapping[str, float]:
        """Were 98 % of mutants found, and 0.5 % of sound programs met by an alarm.

        In a pilot (seed block 1) a program gave 28 mutants and 45 sound programs, at up to six places each.
        """
        programs, share = len(scale.programs), min(scale.places / 6, 1.0)
        return {
            "mutants found": power_of_share(0.98, round(28 * programs * share), threshold=RECALL),
            "sound programs without alarm": power_of_share(0.995, round(45 * programs * share), threshold=QUIET),
        }

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """Who finds which mistake, and what sounds a false alarm."""
        from torchstone.studies.smoothness.drawing import findings, silence

        table = total(records)
        caught = {
            f"{kind} ({harmed})": (share_interval(found, harmed), raised / harmed)
            for kind in MUTATIONS
            for harmed, found, raised in [[summed(table, [kind], c) for c in ("harmed", "found", "raised")]]
            if harmed
        }
        quiet = {
            f"{kind} ({sound})": share_interval(sound - alarmed, sound)
            for kind in (UNMUTATED, *HARMLESS)
            for sound, alarmed in [[summed(table, [kind], c) for c in ("intact", "alarmed")]]
            if sound
        }
        return [
            Figure(
                "Mistakes that are found",
                "For each kind of mistake the share of mutants that the check finds before training, with a 95 % "
                "interval, and the share that loss.backward() raises an error on. In brackets, how many mutants. "
                "The dashed line is for all kinds together.",
                findings(caught, threshold=RECALL),
            ),
            Figure(
                "Silence where nothing is wrong",
                "The share of sound programs without any alarm, by what was changed in them. In brackets, how many. "
                "The dashed line is for all of them together.",
                silence(quiet, threshold=QUIET),
            ),
        ]


def besides(records: Sequence[Record], table: Tensor) -> list[Check]:
    """What is shown and not judged: kinds, programs, lines, failures, and mistakes that autograd forgives."""

    def share(part: str, whole: str, kinds: Iterable[str] = MUTATIONS) -> Estimate:
        kinds = list(kinds)
        return share_interval(summed(table, kinds, part), summed(table, kinds, whole))

    by_program = [record.metrics["found"] / record.metrics["harmed"] for record in records if record.metrics["harmed"]]
    return [
        *(Check.report(f"found: {kind}", share("found", "harmed", [kind])) for kind in MUTATIONS),
        Check.report("mutants found, mean over programs", mean_interval(by_program or [math.nan])),
        Check.report("line named is the mutated one", share("at line", "located")),
        Check.report("mutants with an error about a sound parameter", share("accused", "harmed")),
        Check.report("mistakes that leave every gradient sound", share("intact", "tried")),
        Check.report("of these, with an alarm", share("alarmed", "intact")),
        Check.report("checks that failed", share("crashed", "tried", KINDS)),
    ]


def total(records: Sequence[Record]) -> Tensor:
    """The counts of all programs together: kinds by columns."""
    return torch.stack([record.artifacts["counts"] for record in records]).sum(0)


def summed(table: Tensor, kinds: Iterable[str], column: str) -> int:
    """The count in a column, over some kinds."""
    rows = [list(KINDS).index(kind) for kind in kinds]
    return int(table[rows, COLUMNS.index(column)].sum())
