"""What is known of a program need not be learned: a hole in it is filled from examples of what the whole returns."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchstone.lab import Check, Claim, Context, Estimate, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import power
from torchstone.studies.programs.hole_tables import (
    advantage,
    coefficients_off,
    curves,
    formula,
    log_error,
    of,
    problems,
    share_that_warns,
)
from torchstone.studies.programs.hole_trials import OF_HOLE, OUTSIDE, outcome
from torchstone.studies.programs.known_programs import (
    BLACK,
    CHOICE,
    CUBIC,
    FORMULA,
    HOLE,
    LARGE,
    PARTS,
    WRONG,
)

CONTROLS = {"bill": (LARGE, CUBIC, PARTS, WRONG), "spring": (LARGE, CUBIC, WRONG)}
EVERYWHERE = (HOLE, BLACK, FORMULA, CHOICE)
FEW, CONTROLLED = (8, 32), 32
JUDGED = (("bill", 8), ("bill", 32), ("spring", 32))
LESS, NO_LESS = math.log10(4), 0.1
EXACT = 1e-3
LEAD = "log₁₀ of how many times smaller the hole's error is"
HOPED, PILOT_SD = 1.0, 0.35


@dataclass(frozen=True)
class Size:
    """How much is run.

    Args:
        problems: by name.
        examples: numbers of them.
        seeds: how many.
        steps: of Adam, in each start.
        restarts: of every fit.
        decays: weight decays to choose from.
        batch: how many examples a step sees; all by default, and then L-BFGS follows.
    """

    problems: tuple[str, ...]
    examples: tuple[int, ...]
    seeds: int
    steps: int
    restarts: int = 3
    decays: tuple[float, ...] = (0.0, 1e-3, 1e-2)
    batch: int | None = None


class AHoleLearns(Study):
    """Two programs with a hole, against networks that learn the whole from the same examples."""

    claim = Claim(
        name="a-hole-learns-from-whole-program-examples",
        sentence="From 8 or 32 totals of bills, and from 32 ends of a spring's swing, a network in the one hole of a "
        "known program learns to foretell such results with at most a quarter of the error of a network of the same "
        "size that learns the whole.",
        paper=Paper(
            "Bošnjak, Rocktäschel, Naradowsky, Riedel",
            2017,
            "Programming with a Differentiable Forth Interpreter",
            arxiv="1605.06640",
        ),
        method=[
            "Somebody paints squares and sends bills. How a bill comes about is known: an area for each diagonal, "
            "times a price, summed, and what goes beyond 2 is a fifth cheaper. Unknown is the area of a square with a "
            "given diagonal (it is d²/2): a hole in the program. Only totals are seen, never an area. In the second "
            "program a mass swings on a spring for ten steps of Euler's method; unknown is the force (it is -x - x³), "
            "and only the last position is seen.",
            "The hole is filled by a network with 49 parameters. Its rival, the black box, is a network with 49 "
            "parameters, too, which maps the inputs to the result. Both are trained by the same fit: three starts of "
            "50 steps of Adam on all examples and then L-BFGS, of which the lowest loss is kept. Both have three "
            "weight decays to choose from: for each seed it is the one that does best on the other seeds. Error is the "
            "root mean squared error on 1,000 fresh inputs from the same range, as a share of the standard deviation.",
            "Confirmed if, for bills with 8 and with 32 examples and for springs with 32, the logarithm (base 10) of "
            "the black box's error over the hole's, averaged over seeds, is at least log 4 = 0.602; if from 8 bills a "
            "polynomial in the hole has its coefficients right within 0.001; and if every network in a hole warns "
            "when inputs lie outside the range, and keeps silent on the examples that it was trained on. (Where all "
            "do, they don't differ, so that the audit finds no interval: it is a count of what ran.) Springs with "
            "8 examples are judged by the same rule, but do not count: in pilots eight swings sometimes never came to "
            "half of the positions, so that a network in the hole could not know what the force is there.",
            "Reported beside it: 256 examples; inputs outside the range (diagonals of 2 to 4; positions of 2 to 2.5); "
            "and, with 32 examples, rivals and controls: a black box with four times the parameters; a cubic "
            "polynomial of all inputs; a network that sums over the three diagonals as the program does, but knows "
            "nothing else of it (bill only); a network in a hole of the wrong program, one that forgets the price or "
            "the initial speed; and a black box that gets the best decay in hindsight.",
        ],
        differs=[
            "The idea is the paper's, whose programs are in Forth and whose holes are discrete; ours are in Python and "
            "their holes are functions of one variable. The paper has no such comparison, so there is no number of its "
            "to compare with.",
            "Examples have no noise. With noise an exact formula cannot come out of eight totals.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(problems=("bill",), examples=FEW, seeds=2, steps=2, restarts=1, decays=(0.0,), batch=4),
        "laptop": Size(problems=("bill", "spring"), examples=(*FEW, 256), seeds=10, steps=50),
        "paper": Size(problems=("bill", "spring"), examples=(*FEW, 256, 2048), seeds=30, steps=500),
    }
    compares = (HOLE, BLACK)

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Every program and number of examples with every seed, and what may learn it."""
        spent = {"steps": scale.steps, "restarts": scale.restarts, "decays": scale.decays, "batch": scale.batch}
        return [
            Trial(arm, seed, {"problem": problem, "examples": n} | spent)
            for seed in range(scale.seeds)
            for problem in scale.problems
            for n in scale.examples
            for arm in (*EVERYWHERE, *(CONTROLS[problem] if n == CONTROLLED else ()))
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Train with each weight decay, and measure."""
        return outcome(trial, context)

    def judge(self, records: Sequence[Record]) -> Verdict:
        """A quarter of the error, an exact formula, a warning; the controls beside."""
        checks: list[Check] = []
        for problem in problems(records):
            for n in FEW:
                lead, counts = advantage(records, problem, n), (problem, n) in JUDGED
                checks.append(Check.at_least(name(problem, n), lead, LESS, zone=NO_LESS, primary=counts))
            off, warned = coefficients_off(records, problem, FEW[0]), share_that_warns(records, problem)
            exact = f"{problem}: error of the formula from 8 examples"
            checks.append(Check.near(exact, off, 0.0, within=EXACT, primary=(problem, FEW[0]) in JUDGED))
            checks.append(Check.near(f"{problem}: holes that warn outside, and only there", warned, 1.0, within=0.01))
            checks += beside(records, problem)
        least = min(check.estimate.value for check in checks if check.primary and check.name.startswith(LEAD))
        sentence = f"Where it counts, the hole has {10**-least:.0%} of the black box's error, or less."
        return Verdict.of(*checks, sentence=sentence)

    def power(self, scale: Size) -> Mapping[str, float]:
        """For a tenth of the error, and the largest spread between seeds of the pilots."""
        if scale != self.scales["laptop"]:
            return {}
        chance = power(HOPED, PILOT_SD, scale.seeds, threshold=LESS)
        return {name(problem, n): chance for problem, n in JUDGED}

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """Errors over the number of examples, and what is in the holes."""
        from torchstone.studies.programs.holes_drawing import errors, holes

        found = problems(records)
        said = "; ".join(formula(of(records, problem, FORMULA, FEW[0])[0]) for problem in found)
        return [
            Figure(
                "The error of the whole program",
                "Root mean squared error on fresh inputs, as a share of the standard deviation: the mean over seeds "
                "(of logarithms) with its 95 % interval. Single marks are rivals and controls, which saw 32 examples. "
                "An error below 10⁻⁸, such as that of a right choice, is drawn there.",
                errors({problem: lines(records, problem) for problem in found}),
            ),
            Figure(
                "What is in the hole",
                "Networks in the hole after 8 examples of what the whole program returns, a line for each seed, and "
                "the truth. Shaded is where the first of them was trained; outside it warns. A polynomial in the hole "
                f"comes out, with the first seed, as {said}.",
                holes([curves(of(records, problem, HOLE, FEW[0])) for problem in found]),
            ),
        ]


def name(problem: str, n: int, rival: str = BLACK) -> str:
    """Of a check."""
    return f"{LEAD} than that of the {rival}: {problem}, {n} examples"


def beside(records: Sequence[Record], problem: str) -> list[Check]:
    """What is reported: rivals and controls, more examples, the error outside the range, the hole itself."""
    checks = [
        Check.at_least(
            name(problem, CONTROLLED, arm),
            advantage(records, problem, CONTROLLED, over=arm),
            LESS,
            zone=NO_LESS,
            primary=False,
        )
        for arm in CONTROLS[problem]
    ]
    best = {n: advantage(records, problem, n, hindsight=True) for n in FEW}
    checks += [Check.report(f"{name(problem, n)}, its decay chosen in hindsight", lead) for n, lead in best.items()]
    more = sorted({record.trial.config["examples"] for record in records} - set(FEW))
    checks += [Check.report(name(problem, n), advantage(records, problem, n)) for n in more]
    for arm in EVERYWHERE:
        here = of(records, problem, arm, CONTROLLED)
        checks.append(Check.report(f"{problem}, 32 examples: log₁₀ error outside, {arm}", log_error(here, OUTSIDE)))
    hole = log_error(of(records, problem, HOLE, CONTROLLED), OF_HOLE)
    return [*checks, Check.report(f"{problem}, 32 examples: log₁₀ of the largest error in the hole", hole)]


def lines(records: Sequence[Record], problem: str) -> Mapping[str, Mapping[int, Estimate]]:
    """The logarithm of each arm's error, by the number of examples."""
    sizes = sorted({record.trial.config["examples"] for record in records})
    return {
        arm: {n: log_error(rows) for n in sizes if (rows := of(records, problem, arm, n))}
        for arm in (*EVERYWHERE, *CONTROLS[problem])
    }
