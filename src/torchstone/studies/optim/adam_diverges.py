"""Adam and its like end at the worst point of two convex problems; AMSGrad and AdamNC at the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torchstone.lab import Check, Claim, Context, Estimate, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval
from torchstone.optim import reddi_online, reddi_stochastic, regret
from torchstone.optim.online import Schedule

FLOOR = 20 / 101  # the average regret on the online problem of who stands at +1
ONLINE, FROM_BEST, STOCHASTIC = slice(0, 1), slice(1, 2), slice(2, None)  # columns of a trial's curves
FORGETFUL = ("adam", "nadam", "rmsprop", "rmsprop_momentum", "adadelta")
LASTING = ("amsgrad", "adamnc", "adagrad")
SHOWN = ("sgd", "adadelta_long")
TITLES = {
    "adam": "Adam",
    "nadam": "Nadam",
    "rmsprop": "RMSProp",
    "rmsprop_momentum": "RMSProp with momentum",
    "adadelta": "Adadelta",
    "amsgrad": "AMSGrad",
    "adamnc": "AdamNC",
    "adagrad": "Adagrad",
    "sgd": "SGD (control)",
    "adadelta_long": "Adadelta with ρ = 0.99",
}
HYPER: Mapping[str, Mapping[str, Any]] = {
    "adam": {"lr": 1.0, "betas": (0.9, 0.99)},
    "nadam": {"lr": 1.0, "betas": (0.9, 0.99)},
    "rmsprop": {"lr": 1.0, "alpha": 0.99},
    "rmsprop_momentum": {"lr": 1.0, "alpha": 0.99, "momentum": 0.9},
    "adadelta": {"lr": 1.0, "rho": 0.9},
    "amsgrad": {"lr": 1.0, "betas": (0.9, 0.99)},
    "adamnc": {"lr": 1.0},
    "adagrad": {"lr": 1.0},
    "sgd": {"lr": 2 / (101 * math.sqrt(2))},  # D / (G √2), D = 2 and G = 101, the root mean square of the slopes
    "adadelta_long": {"lr": 1.0, "rho": 0.99},
}


@dataclass(frozen=True)
class Size:
    """Steps, and how many streams of slopes (stochastic problem)."""

    steps: int
    streams: int


class AdamDiverges(Study):
    """Where nine rules end on the two synthetic problems, and at what regret."""

    claim = Claim(
        name="adam-diverges",
        sentence="On two convex problems in which rare steep slopes just outweigh many gentle ones, rules that forget "
        "past gradients (Adam, Nadam, RMSProp with and without momentum, Adadelta) end at the worst point, and rules "
        "that do not (AMSGrad, AdamNC, Adagrad) at the best.",
        paper=Paper(
            "Reddi, Kale, Kumar",
            2018,
            "On the Convergence of Adam and Beyond",
            arxiv="1904.09237",
            where="Figure 1, Theorems 1 to 3",
        ),
        method=[
            "A point on the line from -1 to 1 is told one slope a step and moves against it. Online problem: the slope "
            "is 1010 in one step of 101 and -10 in the other hundred, so a whole cycle says +10 and the best point is "
            "-1. Stochastic problem: 1010 with probability 0.01 at each step, else -10; the mean slope is 0.2.",
            "All rules begin in the middle, at 0, and have the same step sizes 1/√t (in Adagrad they are part of the "
            "rule, which divides by a sum of squares, not by a mean) and, where they have such constants, the paper's "
            "β₁ = 0.9 and β₂ = 0.99 (α of RMSProp). Adadelta has its usual ρ = 0.9: its steps begin at √ε = "
            "0.001 of the others', and with ρ = 0.99 it is still under way after a million of them (shown beside it). "
            "SGD, whose steps are not divided by the size of the slopes, is a control with the step that its own "
            "theorem proposes. The online problem holds no chance and is run once; the stochastic one with several "
            "streams of slopes, the same for every rule.",
            "Average regret is what was paid a step above the best fixed point. Who stands at +1 pays 20/101 = 0.198 a "
            "step on the online problem, for ever: that is the floor to compare with.",
            "Decided beforehand, for the five rules that forget: the point, averaged over the last 101 steps, is at "
            "least 0.9 on both problems, and the average regret on the online one at least 0.19. For the three that "
            "do not: the point is at most -0.9 on the online problem and -0.5 on the stochastic one, whose drift is a "
            "500th of its noise; the average regret lies at least 0.078 below the floor, and over the last tenfold of "
            "steps it falls at least as t^(-1/4) (a regret of √t would be t^(-1/2)). Intervals over streams, 95 %.",
        ],
        differs=[
            "The paper runs Adam and AMSGrad here; it extends the argument to RMSProp, Adadelta and Nadam in words. "
            "Adagrad is shown to converge elsewhere.",
            "Its text states neither the step size nor the start: steps of 1/√t and a start at 0 are ours. A second "
            "run of the online problem begins at the best point itself, and decides nothing.",
            "Rules as PyTorch has them: with an ε of 1e-8 or so, and with bias correction where that is usual.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(300, 2),
        "laptop": Size(1_000_000, 64),
        "paper": Size(10_000_000, 64),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """One trial a rule: all starts and draws are entries of one vector."""
        return [Trial(rule, 0, {"steps": scale.steps, "streams": scale.streams}) for rule in HYPER]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Both problems side by side, the online one first."""
        steps, streams = trial.config["steps"], trial.config["streams"]
        problems = [reddi_online(), replace(reddi_online(), start=-1.0), *[reddi_stochastic()] * streams]
        first = 1000 * trial.seed
        rule = trial.arm.removesuffix("_long")
        schedule: Schedule = (
            "constant" if rule == "adagrad" else "inverse_sqrt"
        )  # Adagrad's sum of squares has 1/√t in it
        columns = range(first, first + len(problems))
        found = regret(rule, problems, steps, columns, schedule=schedule, **HYPER[trial.arm])
        curves = {"t": found.t, "x": found.x, "rate": found.rate, "expected_rate": found.expected_rate}
        metrics = {
            "x, online": float(found.x[-1, 0]),
            "x, stochastic": float(found.x[-1, 2:].mean()),
            "average regret, online": float(found.rate[-1, 0]),
        }
        return Outcome(metrics, curves)

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Forgetful rules at +1 on the floor of regret; the others at -1, with a regret that vanishes."""
        runs = {record.trial.arm: record for record in records}
        checks = [check for rule in FORGETFUL for check in _ends_at_the_worst(runs[rule])]
        checks += [check for rule in LASTING for check in _ends_at_the_best(runs[rule])]
        checks += [check for rule in SHOWN for check in _shown(runs[rule])]
        checks += [
            Check.report(f"{TITLES[r]}: point, online, from the best point", _last(runs[r], "x", FROM_BEST))
            for r in HYPER
        ]
        checks += [Check.report(f"{TITLES[r]}: decay of regret, online", _decay(runs[r])) for r in FORGETFUL]
        checks += [
            Check.report(f"{TITLES[r]}: average regret, stochastic", _last(runs[r], "expected_rate", STOCHASTIC))
            for r in HYPER
        ]
        worst, best = (
            [ends([_last(runs[rule], "x", problem).value for rule in rules]) for problem in (ONLINE, STOCHASTIC)]
            for rules, ends in ((FORGETFUL, min), (LASTING, max))
        )
        sentence = (
            f"Rules that forget end at {worst[0]:+.2f} or higher on the online problem and at {worst[1]:+.2f} or "
            f"higher on the stochastic one; the others at {best[0]:+.2f} or lower and {best[1]:+.2f} or lower. "
            "The best point is -1."
        )
        return Verdict.of(*checks, sentence=sentence)

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """The point and the average regret over time, as in the paper's Figure 1."""
        from torchstone.studies.optim.curves import Level, Line, panels

        def lines(name: str, problem: slice, first: float = 0) -> list[Line]:
            runs = {record.trial.arm: record.artifacts for record in records}
            late = {rule: run["t"] >= min(first, float(run["t"][-1]) / 100) for rule, run in runs.items()}
            return [
                Line(TITLES[rule], runs[rule]["t"][late[rule]], runs[rule][name][late[rule], problem].mean(1), rule)
                for rule in HYPER
                if rule in runs
            ]

        points = {"online problem": lines("x", ONLINE), "stochastic problem": lines("x", STOCHASTIC)}
        rates = {"online problem": lines("rate", ONLINE, first=10 * 101)}
        floor = Level(FLOOR, "20/101: standing at +1")
        where = panels(points, xlabel="step", ylabel="point (−1 is best)", log=["x"])
        cost = panels(rates, xlabel="step", ylabel="average regret", log=["x", "y"], level=floor)
        return [
            Figure("Where the rules go", "The point, averaged over 101 steps, and over streams of slopes.", where),
            Figure(
                "What it costs",
                "Average regret of the online problem, after ten cycles of slopes. It falls for ever for a rule that "
                "learns; for one that ends at the worst point it comes to rest on the dotted line.",
                cost,
            ),
        ]


def _last(record: Record, name: str, problem: slice, *, sign: float = 1.0, beyond: float = 0.0) -> Estimate:
    """``sign`` × (value - ``beyond``) at the end; the online problem is not random and has an interval of no width."""
    values = sign * (record.artifacts[name][-1, problem] - beyond)
    if problem is STOCHASTIC:
        return mean_interval(values.numpy())
    return _exactly(float(values))


def _decay(record: Record) -> Estimate:
    """The exponent e of an average regret that falls as t^-e over the last tenfold of steps, online."""
    t, rate = record.artifacts["t"].double(), record.artifacts["rate"][:, 0].clamp(min=1e-9)
    then = int((t <= t[-1] / 10).sum().clamp(min=1)) - 1
    return _exactly(float(-(rate[-1] / rate[then]).log() / (t[-1] / t[then]).log()))


def _exactly(value: float) -> Estimate:
    return Estimate(value, value, value)


def _ends_at_the_worst(record: Record) -> list[Check]:
    title = TITLES[record.trial.arm]
    return [
        Check.at_least(f"{title}: point, online", _last(record, "x", ONLINE), 0.9, zone=0.1),
        Check.at_least(f"{title}: point, stochastic", _last(record, "x", STOCHASTIC), 0.9, zone=0.1),
        Check.at_least(f"{title}: average regret, online", _last(record, "rate", ONLINE), 0.19, zone=0.02),
    ]


def _ends_at_the_best(record: Record) -> list[Check]:
    title = TITLES[record.trial.arm]
    online, stochastic = (_last(record, "x", problem, sign=-1.0) for problem in (ONLINE, STOCHASTIC))
    spared = _last(record, "rate", ONLINE, sign=-1.0, beyond=FLOOR)
    return [
        Check.at_least(f"{title}: minus the point, online", online, 0.9, zone=0.1),
        Check.at_least(f"{title}: minus the point, stochastic", stochastic, 0.5, zone=0.1),
        Check.at_least(f"{title}: average regret below 20/101, online", spared, 0.078, zone=0.02),
        Check.at_least(f"{title}: decay of regret, online", _decay(record), 0.25, zone=0.05),
    ]


def _shown(record: Record) -> list[Check]:
    title = TITLES[record.trial.arm]
    return [
        Check.report(f"{title}: point, online", _last(record, "x", ONLINE)),
        Check.report(f"{title}: point, stochastic", _last(record, "x", STOCHASTIC)),
        Check.report(f"{title}: average regret, online", _last(record, "rate", ONLINE)),
        Check.report(f"{title}: decay of regret, online", _decay(record)),
    ]
