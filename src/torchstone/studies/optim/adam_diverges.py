"""Adam and its like end at the worst point of two convex problems; AMSGrad and AdamNC at the best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.lab import Check, Claim, Context, Estimate, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval
from torchstone.optim import Problem, reddi_online, reddi_stochastic, regret

FLOOR = 20 / 101  # the average regret on the online problem of who stands at +1
FORGETFUL = ("adam", "nadam", "rmsprop", "rmsprop_momentum", "adadelta")
LASTING = ("amsgrad", "adamnc", "adagrad")
CONTROL = "sgd"
TITLES = {
    "adam": "Adam",
    "nadam": "Nadam",
    "rmsprop": "RMSProp",
    "rmsprop_momentum": "RMSProp with momentum",
    "adadelta": "Adadelta",
    "amsgrad": "AMSGrad",
    "adamnc": "AdamNC",
    "adagrad": "Adagrad",
    "sgd": "SGD",
}
HYPER: Mapping[str, Mapping[str, Any]] = {
    "adam": {"lr": 1.0, "betas": (0.9, 0.99)},
    "nadam": {"lr": 1.0, "betas": (0.9, 0.99)},
    "rmsprop": {"lr": 1.0, "alpha": 0.99},
    "rmsprop_momentum": {"lr": 1.0, "alpha": 0.99, "momentum": 0.9},
    "adadelta": {"lr": 1.0, "rho": 0.99},
    "amsgrad": {"lr": 1.0, "betas": (0.9, 0.99)},
    "adamnc": {"lr": 1.0},
    "adagrad": {"lr": 1.0},
    "sgd": {"lr": 2 / (101 * math.sqrt(2))},  # D / (G √2), D = 2 and G = 101, the root mean square of the slopes
}


@dataclass(frozen=True)
class Size:
    """Steps, and how many starts (online problem) and draws (stochastic problem)."""

    steps: int
    copies: int


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
            "All rules have the same step sizes 1/√t and, where they have such constants, the paper's β₁ = 0.9 and "
            "β₂ = 0.99 (α of RMSProp, ρ of Adadelta). SGD, whose steps are not divided by the size of the slopes, is "
            "a control with the step that its own theorem proposes. Each problem is run from several random starts; "
            "those of the stochastic problem have a stream of slopes each. All rules see the same starts and the same "
            "slopes.",
            "Average regret is what was paid a step above the best fixed point. Who stands at +1 pays 20/101 = 0.198 a "
            "step on the online problem, for ever: that is the floor to compare with.",
            "Decided beforehand, for the five rules that forget: the point, averaged over the last 101 steps, is at "
            "least 0.9 on both problems, and the average regret on the online one at least 0.19. For the three that "
            "do not: the point is at most -0.9 on the online problem and -0.5 on the stochastic one, whose drift is a "
            "500th of its noise; the average regret lies at least 0.078 below the floor, and over the last tenfold of "
            "steps it falls at least as t^(-1/4) (a regret of √t would be t^(-1/2)). Intervals over starts, 95 %.",
        ],
        differs=[
            "The paper runs Adam and AMSGrad here; it extends the argument to RMSProp, Adadelta and Nadam in words. "
            "Adagrad is shown to converge elsewhere.",
            "Its text states neither the step size nor the start: steps of 1/√t and random starts are ours.",
            "Rules as PyTorch has them: with an ε of 1e-8 or so, and with bias correction where that is usual.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(300, 2),
        "laptop": Size(1_000_000, 8),
        "paper": Size(10_000_000, 32),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """One trial a rule: all starts and draws are entries of one vector."""
        return [Trial(rule, 0, {"steps": scale.steps, "copies": scale.copies}) for rule in HYPER]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Both problems side by side, the online one first."""
        steps, copies = trial.config["steps"], trial.config["copies"]
        first = 1000 * trial.seed
        found = regret(
            trial.arm, _problems(copies, seed=first), steps, range(first, first + 2 * copies), **HYPER[trial.arm]
        )
        online = {"t": found.t, "x": found.x, "rate": found.rate, "expected_rate": found.expected_rate}
        metrics = {
            "x, online": float(found.x[-1, :copies].mean()),
            "x, stochastic": float(found.x[-1, copies:].mean()),
            "average regret, online": float(found.rate[-1, :copies].mean()),
        }
        return Outcome(metrics, online)

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Forgetful rules at +1 on the floor of regret; the others at -1, with a regret that vanishes."""
        runs = {record.trial.arm: record for record in records}
        checks = [check for rule in FORGETFUL for check in _ends_at_the_worst(runs[rule])]
        checks += [check for rule in LASTING for check in _ends_at_the_best(runs[rule])]
        checks += _shown(runs[CONTROL])
        checks += [Check.report(f"{TITLES[r]}: decay of regret, online", _decay(runs[r])) for r in FORGETFUL]
        checks += [Check.report(f"{TITLES[r]}: average regret, stochastic", _paid(runs[r])) for r in HYPER]
        adam, amsgrad = (
            float(mean_interval(_last(runs[rule], "x", online=True)).value) for rule in ("adam", "amsgrad")
        )
        sentence = f"On the online problem, Adam ends at {adam:+.2f} and AMSGrad at {amsgrad:+.2f}; -1 is best."
        return Verdict.of(*checks, sentence=sentence)

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """The point and the average regret over time, as in the paper's Figure 1."""
        from torchstone.studies.optim.curves import Level, Line, panels

        def lines(name: str, *, online: bool) -> list[Line]:
            curves = {r.trial.arm: (r.artifacts["t"], _columns(r, name, online=online).mean(1)) for r in records}
            return [Line(TITLES[rule], *curves[rule], rule) for rule in HYPER if rule in curves]

        points = {f"{name} problem": lines("x", online=name == "online") for name in ("online", "stochastic")}
        rates = {"online problem": lines("rate", online=True)}
        floor = Level(FLOOR, "20/101: standing at +1")
        where = panels(points, xlabel="step", ylabel="point (−1 is best)", log=["x"])
        cost = panels(rates, xlabel="step", ylabel="average regret", log=["x", "y"], level=floor)
        return [
            Figure("Where the rules go", "The point, averaged over 101 steps and over starts.", where),
            Figure(
                "What it costs",
                "Average regret of the online problem. It falls for ever for a rule that learns; it comes to rest on "
                "the dotted line for one that ends at the worst point.",
                cost,
            ),
        ]


def _problems(copies: int, *, seed: int) -> list[Problem]:
    """Copies of each problem from random starts, the same for every rule."""
    starts = torch.rand(copies, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
    return [
        replace(problem, start=start) for problem in (reddi_online(), reddi_stochastic()) for start in starts.tolist()
    ]


def _columns(record: Record, name: str, *, online: bool) -> Float[Tensor, "m s"]:
    """The columns of one problem; those of the online one come first."""
    first, second = record.artifacts[name].chunk(2, 1)
    return first if online else second


def _last(record: Record, name: str, *, online: bool) -> list[float]:
    last: list[float] = _columns(record, name, online=online)[-1].tolist()
    return last


def _decay(record: Record) -> Estimate:
    """The exponent e of an average regret that falls as t^-e over the last tenfold of steps, online."""
    t, rate = record.artifacts["t"].double(), _columns(record, "rate", online=True).clamp(min=1e-9)
    then = int((t <= t[-1] / 10).sum().clamp(min=1)) - 1
    return mean_interval((-(rate[-1] / rate[then]).log() / (t[-1] / t[then]).log()).numpy())


def _paid(record: Record) -> Estimate:
    return mean_interval(_last(record, "expected_rate", online=False))


def _ends_at_the_worst(record: Record) -> list[Check]:
    title = TITLES[record.trial.arm]
    online, stochastic = (mean_interval(_last(record, "x", online=online)) for online in (True, False))
    rate = mean_interval(_last(record, "rate", online=True))
    return [
        Check.at_least(f"{title}: point, online", online, 0.9, zone=0.1),
        Check.at_least(f"{title}: point, stochastic", stochastic, 0.9, zone=0.1),
        Check.at_least(f"{title}: average regret, online", rate, 0.19, zone=0.02),
    ]


def _ends_at_the_best(record: Record) -> list[Check]:
    title = TITLES[record.trial.arm]
    online, stochastic = (mean_interval([-x for x in _last(record, "x", online=online)]) for online in (True, False))
    spared = mean_interval([FLOOR - rate for rate in _last(record, "rate", online=True)])
    return [
        Check.at_least(f"{title}: minus the point, online", online, 0.9, zone=0.1),
        Check.at_least(f"{title}: minus the point, stochastic", stochastic, 0.5, zone=0.1),
        Check.at_least(f"{title}: average regret below 20/101, online", spared, 0.078, zone=0.02),
        Check.at_least(f"{title}: decay of regret, online", _decay(record), 0.25, zone=0.05),
    ]


def _shown(record: Record) -> list[Check]:
    title = f"{TITLES[record.trial.arm]} (control)"
    return [
        Check.report(f"{title}: point, online", mean_interval(_last(record, "x", online=True))),
        Check.report(f"{title}: point, stochastic", mean_interval(_last(record, "x", online=False))),
        Check.report(f"{title}: average regret, online", mean_interval(_last(record, "rate", online=True))),
        Check.report(f"{title}: decay of regret, online", _decay(record)),
    ]
