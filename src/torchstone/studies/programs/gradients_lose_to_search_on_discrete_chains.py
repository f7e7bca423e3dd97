"""Gradients get stuck on a ring of bits that search solves: where combinations are few, search."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from torchstone.lab import (
    Check,
    Claim,
    Context,
    Estimate,
    Figure,
    Outcome,
    Paper,
    Record,
    Status,
    Study,
    Trial,
    Verdict,
)
from torchstone.lab.statistics import mean_interval, power_of_share, share_interval
from torchstone.programs.holes.objective import Branches
from torchstone.studies.programs.chain_solving import (
    LR,
    MOST,
    combinations,
    fitted,
    gone_around,
    one_succeeds,
    searched,
)
from torchstone.studies.programs.chains import drawn

GRADIENTS = ("mix", "relax", "sample")
ALL_PATHS = ("enumerate", "likelihood")
SOLVERS = {"search": searched, "propagation": gone_around}
RUNS, STARTS = 128, 5
SOLVES, SHORT_OF_SEARCH, STUCK = 0.8, 0.25, 0.5
FOUND, RANDOM, EVEN, COST = "solved", "random starts that solve", "solved from even odds", "runs of the program"
PILOT = {"mix": (0.94, 0.45, 0.11), "relax": (0.99, 0.51, 0.15), "sample": (0.90, 0.28, 0.01)}
"""The shares of random starts, 40 or more of each kind, that solved rings of 4, 8 and 16 bits on other seeds."""


@dataclass(frozen=True)
class Size:
    """Rings of each length, for gradients and for search; random starts, runs of the program in each; bits.

    The rule is about the first three lengths.
    """

    rings: int
    searched: int
    lengths: Sequence[int]
    starts: int = STARTS
    runs: int = RUNS


class GradientsLoseToSearch(Study):
    """The parity chain, as a program with holes, at several lengths."""

    claim = Claim(
        name="gradients-lose-to-search-on-discrete-chains",
        sentence="On a ring of bits of which the xor of neighbours is known, gradients from random starts get stuck: "
        "of 8 bits a start leaves at least a quarter of the rings unsolved, with as many runs of the program as "
        "search takes to solve them all, and of 16 bits at least half.",
        paper=Paper(
            "Gaunt, Brockschmidt, Singh, Kushman, Kohli, Taylor, Tarlow",
            2016,
            "TerpreT: A Probabilistic Programming Language for Program Induction",
            arxiv="1608.04428",
            where="parity chain",
        ),
        method=[
            "Bits lie in a ring. One of them is known, and the xor of each with the next: whether they differ. By "
            "going around once, everybody can tell all bits. Here they are flags in a program that returns the xors, "
            "and are to be learned from the one example of what it should return.",
            "Gradients need probabilities in place of bits. Three ways: averages of both outcomes (mix), averages with "
            "noise that cools down (relax), drawn outcomes and the score function (sample). A bit that agrees with one "
            "neighbour and disagrees with the other is pulled both ways, so a ring can settle with a wrong stretch in "
            "it, and the longer it is, the more stretches a random start begins with.",
            f"Each start gets {RUNS} runs of the program, which is as many as search takes to try all combinations of "
            f"8 bits (averages get a few more for L-BFGS). For each ring there are {STARTS} random starts, and one "
            "from even odds, where every unknown bit begins at a half. A ring is solved if all xors are right once "
            f"each bit is put to its likelier value. The learning rate, {LR}, was the best of five for each of the "
            "three, on other rings.",
            "Confirmed if for each of the three the lower end of the 95 % interval (Wilson's) is: at 4 bits, at least "
            f"{SOLVES} for the share of random starts that solve their ring; at 8 bits, at least "
            f"{SHORT_OF_SEARCH} for the share that do not; at 16 bits, at least {STUCK} for that share; and "
            f"if it is at least {SOLVES} for the share of rings that search solves.",
            "Shown and not judged: the best of the five starts; the start from even odds; how many rings would be "
            "solved if the runs that search takes at 16 bits were spent on restarts, each with the chance that was "
            "measured; guessing with as many runs; going around the ring (propagation), which takes one run; at the "
            "shortest ring also enumerate and likelihood, which go through all combinations at every step, so that a "
            "single step costs what search costs.",
        ],
        differs=[
            "The paper's solvers of constraints do not try all combinations; torchstone's search does, so it is for "
            "few. At 16 bits it takes 32,768 runs, for which one can start gradients 256 times.",
            "Random bits instead of zeros; five learning rates were tried for each kind of gradient, no other options.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(rings=1, searched=1, lengths=(3, 4, 5), starts=1, runs=8),
        "laptop": Size(rings=24, searched=8, lengths=(4, 8, 16)),
        "paper": Size(rings=200, searched=50, lengths=(4, 8, 16, 32, 64, 128)),
    }
    compares = GRADIENTS

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Every method on every ring; search up to some length, and what goes through all paths on the shortest."""
        lengths = {arm: list(scale.lengths) for arm in (*GRADIENTS, "propagation")}
        lengths |= {arm: [min(scale.lengths)] for arm in ALL_PATHS}
        lengths["search"] = [bits for bits in scale.lengths if combinations(bits) <= MOST]
        return [
            Trial(arm, seed, {"bits": bits, "runs": scale.runs, "starts": scale.starts})
            for arm in lengths
            for bits in lengths[arm]
            for seed in range(scale.searched if arm == "search" else scale.rings)
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """One ring, by one method."""
        bits, runs, starts = (trial.config[name] for name in ("bits", "runs", "starts"))
        seed = 10 * trial.seed
        ring = drawn(bits, seed + starts + 1)
        if trial.arm in SOLVERS:
            solved, cost = SOLVERS[trial.arm](ring)
            metrics = {FOUND: float(solved)}
        else:
            (even, *random), cost = fitted(ring, cast(Branches, trial.arm), runs=runs, starts=starts, seed=seed)
            metrics = {FOUND: float(any(random)), RANDOM: sum(random) / starts, EVEN: float(even)}
        context.progress(1.0, f"{trial.arm}, {bits} bits")
        return Outcome({**metrics, COST: cost})

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Short rings are solved; on longer ones gradients get stuck, with as many runs as search takes."""
        short, few, many = lengths_of(records)[:3]
        checks = []
        for kind in GRADIENTS:
            for bits, part, least in ((short, solving, SOLVES), (few, stuck, SHORT_OF_SEARCH), (many, stuck, STUCK)):
                name = f"{bits} bits, {kind}: random starts that {'solve' if part is solving else 'get stuck'}"
                checks.append(Check.at_least(name, part(records, kind, bits), least, zone=0.05))
        found = [record.metrics[FOUND] for record in records if record.trial.arm == "search"]
        checks.append(Check.at_least("rings that search solves", share(found), SOLVES, zone=0.05))
        missed = [check.name for check in checks if check.status is not Status.CONFIRMED]
        short_of = f" Short of the rule: {'; '.join(missed)}." if missed else ""
        return Verdict.of(*checks, *besides(records), sentence=summary(records) + short_of)

    def power(self, scale: Size) -> Mapping[str, float]:
        """Were the shares those of the pilots."""
        if scale != self.scales["laptop"]:
            return {}
        n, declared = scale.starts * scale.rings, {}
        for kind, (short, few, many) in PILOT.items():
            declared[f"4 bits, {kind}"] = power_of_share(short, n, threshold=SOLVES)
            declared[f"8 bits, {kind}"] = power_of_share(1 - few, n, threshold=SHORT_OF_SEARCH)
            declared[f"16 bits, {kind}"] = power_of_share(1 - many, n, threshold=STUCK)
        return declared

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """What is solved by length, and by how often the program ran."""
        from torchstone.studies.programs.chain_drawing import Panel, by_length, by_runs

        lengths = lengths_of(records)
        starts, runs = (records[0].trial.config[name] for name in ("starts", "runs"))
        looks = [
            ("one random start", RANDOM, starts, runs),
            (f"the best of {starts}", FOUND, 1, starts * runs),
            ("the start from even odds", EVEN, 1, runs),
        ]
        panels = []
        for title, metric, each, guesses in looks:
            shares = {arm: [share(column(records, arm, bits, metric), each) for bits in lengths] for arm in GRADIENTS}
            panels.append(Panel(title, shares, [guessed(bits, guesses) for bits in lengths]))
        chances = {bits: {arm: solving(records, arm, bits) for arm in GRADIENTS} for bits in lengths[:3]}
        return [
            Figure(
                "Rings that gradients solve",
                "The share of rings that are solved, with 95 % intervals, by how many bits they have. Search, where it "
                "is possible, and going around the ring solve all. Grey: guessing with as many runs of the program.",
                by_length(panels, lengths),
            ),
            Figure(
                "What restarts are worth",
                "The share of rings that are solved after so many runs of the program, if one random start follows the "
                "other and each has the chance that was measured (bands: 95 % intervals). Black: search, which "
                "has tried so many combinations by then. The further left a line rises, the fewer runs it takes.",
                by_runs(chances, runs),
            ),
        ]


def lengths_of(records: Sequence[Record]) -> list[int]:
    """How many bits rings have, the fewest first."""
    return sorted({record.trial.config["bits"] for record in records})


def column(records: Sequence[Record], arm: str, bits: int, metric: str) -> list[float]:
    """A metric of the rings of one length."""
    return [r.metrics[metric] for r in records if r.trial.arm == arm and r.trial.config["bits"] == bits]


def seconds(records: Sequence[Record], arm: str, bits: int) -> list[float]:
    """What rings of one length took; for gradients with all their starts."""
    return [r.seconds for r in records if r.trial.arm == arm and r.trial.config["bits"] == bits]


def share(found: Iterable[float], each: int = 1) -> Estimate:
    """The mean of shares, each of so many, with Wilson's interval; unknown if one is."""
    values = list(found)
    if not all(map(math.isfinite, values)):
        return Estimate(math.nan, math.nan, math.nan)
    return share_interval(round(each * sum(values)), each * len(values))


def solving(records: Sequence[Record], kind: str, bits: int) -> Estimate:
    """The share of random starts that solve their ring; each is drawn anew, so all are independent."""
    return share(column(records, kind, bits, RANDOM), records[0].trial.config["starts"])


def stuck(records: Sequence[Record], kind: str, bits: int) -> Estimate:
    """The share of random starts that do not."""
    solved = solving(records, kind, bits)
    return Estimate(1 - solved.value, 1 - solved.high, 1 - solved.low)


def at_least_once(chance: Estimate, tries: float) -> Estimate:
    """How likely one of so many tries succeeds."""
    value, low, high = (one_succeeds(p, tries) for p in (chance.value, chance.low, chance.high))
    return Estimate(value, low, high)


def guessed(bits: int, runs: int) -> float:
    """How likely one of so many guesses, drawn anew each time, is right."""
    return one_succeeds(1 / combinations(bits), runs)


def besides(records: Sequence[Record]) -> list[Check]:
    """What is shown and not judged."""
    rows = []
    for bits in lengths_of(records):
        for arm in sorted({r.trial.arm for r in records if r.trial.config["bits"] == bits}):
            found = share(column(records, arm, bits, FOUND))
            name = f"{bits} bits, {arm}: rings solved" + (" by the best start" if arm not in SOLVERS else "")
            rows.append(Check.report(name, found))
            rows.append(Check.report(f"{bits} bits, {arm}: {COST}", mean_interval(column(records, arm, bits, COST))))
            rows.append(Check.report(f"{bits} bits, {arm}: seconds a ring", mean_interval(seconds(records, arm, bits))))
        guess = guessed(bits, RUNS)
        rows.append(Check.report(f"{bits} bits: solved by {RUNS} guesses", Estimate(guess, guess, guess)))
        for kind in GRADIENTS:
            rows.append(Check.report(f"{bits} bits, {kind}: {EVEN}", share(column(records, kind, bits, EVEN))))
            if combinations(bits) > RUNS:
                restarted = at_least_once(solving(records, kind, bits), combinations(bits) / RUNS)
                rows.append(Check.report(f"{bits} bits, {kind}: solved by restarts with search's runs", restarted))
    return rows


def summary(records: Sequence[Record]) -> str:
    """What was found, with what a person should know besides."""
    lengths = lengths_of(records)[:3]
    short, few, many = lengths
    solved = {bits: [solving(records, kind, bits) for kind in GRADIENTS] for bits in lengths}
    restarted = [at_least_once(chance, combinations(many) / RUNS) for chance in solved[many]]
    even = share(column(records, "mix", many, EVEN)).value
    return (
        f"A random start solves {span(solved[short])} of the rings of {short} bits, {span(solved[few])} of those of "
        f"{few} and {span(solved[many])} of those of {many}. From even odds mix solves {even:.0%} of those of {many}; "
        f"with as many runs as search takes there, restarts would solve {span(restarted)}."
    )


def span(shares: Sequence[Estimate]) -> str:
    """From the least to the largest.

    >>> span([Estimate(0.5, 0.4, 0.6), Estimate(0.25, 0.1, 0.4)])
    '25% to 50%'
    """
    values = [share.value for share in shares]
    return f"{min(values):.0%} to {max(values):.0%}"
