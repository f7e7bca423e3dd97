"""Gradient descent takes steps in proportion to the condition number, momentum to its square root."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.lab import Check, Claim, Context, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, paired_difference
from torchstone.optim import create
from torchstone.studies.optim.stopwatch import Make, Setting, steps_until, tune

TITLES = {
    "sgd": "gradient descent",
    "momentum": "heavy ball",
    "nesterov": "Nesterov",
    "adam": "Adam",
    "rmsprop": "RMSProp",
}
LAWS = {"sgd": 1.0, "momentum": 0.5, "nesterov": 0.5}  # steps in proportion to κ to this power
FINE, COARSE = 1e-6, 1e-2  # the distance to reach, as a share of that at the start
WITHIN = 0.1
LIMIT = 200_000
SETTINGS = 60  # that each rule is tuned over
MOMENTA = tuple(round(1 - 0.7 * 70 ** (-i / 9), 4) for i in range(10))  # from 0.3 to 0.99


@dataclass(frozen=True)
class Size:
    """Condition numbers, quadratics for each of them, and their dimension."""

    conditions: tuple[float, ...]
    copies: int
    d: int


class MomentumBeatsConditioning(Study):
    """Exponents of steps against condition number, at the best settings in theory and at tuned ones."""

    claim = Claim(
        name="momentum-beats-conditioning",
        sentence="On quadratics of condition number κ the steps that gradient descent needs grow in proportion to κ, "
        "and those of the heavy ball and of Nesterov's method to √κ, each rule at its best setting.",
        paper=Paper(
            "Goh",
            2017,
            "Why Momentum Really Works (Distill, doi:10.23915/distill.00006)",
            where="The Dynamics of Momentum, Optimal parameters",
        ),
        method=[
            "We make quadratics in 16 dimensions: the largest curvature is 1, the smallest 1/κ, those between are "
            "random, and all axes are turned at random. From a random start we count the steps until the distance to "
            "the minimum is a millionth of what it was.",
            "Each rule is run twice. Optimal: at the step size and momentum that theory calls the best for the largest "
            "and smallest curvature. Tuned: at the best of 60 settings, the same number for each rule, chosen on "
            "other quadratics of the same κ. Gradient descent has 60 step sizes from 0.5 to 4; the others have six "
            "of the same range with each of ten momenta from 0.3 to 0.99.",
            "The exponent is the slope of log steps against log κ, one for each sequence of quadratics; intervals are "
            "over those sequences (95 %). Decided beforehand, for optimal and for tuned settings alike: the exponent "
            "of gradient descent lies within 0.1 of 1, those of the heavy ball and of Nesterov within 0.1 of 0.5, and "
            "each of the two lies at least 0.4 below that of gradient descent on the same quadratics.",
            "Shown beside it, and decides nothing: the steps to one hundredth of the distance for Adam and RMSProp, "
            "tuned with as many settings, gradient descent and the heavy ball with them. At a constant step size "
            "RMSProp does not come as near as a millionth.",
        ],
        differs=[
            "The article derives the rates, (κ-1)/(κ+1) and (√κ-1)/(√κ+1); we count steps.",
            "It does not treat Nesterov's method: the optimal setting is that of Lessard, Recht, Packard 2016, "
            "arXiv:1408.3595, for quadratics.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size((10.0, 30.0), 2, 4),
        "laptop": Size((30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0), 16, 16),
        "paper": Size((30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0), 64, 100),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Every rule, optimal and tuned, at every condition number; the costly ones first."""
        arms = [(f"{rule}, {mode}", rule, mode, FINE) for mode in ("optimal", "tuned") for rule in LAWS]
        arms += [(f"{rule}, coarse", rule, "tuned", COARSE) for rule in ("sgd", "momentum", "adam", "rmsprop")]
        return [
            Trial(
                arm,
                0,
                {"rule": rule, "mode": mode, "target": target, "kappa": kappa, "copies": scale.copies, "d": scale.d},
            )
            for kappa in sorted(scale.conditions, reverse=True)
            for arm, rule, mode, target in arms
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Steps to the target on each quadratic."""
        rule, kappa, target = (trial.config[key] for key in ("rule", "kappa", "target"))
        if trial.config["mode"] == "optimal":
            momentum, rate = optimal(rule, kappa)
        else:
            chosen = _tuned(trial)
            momentum, rate = float(chosen.name), chosen.rate
        curvature, starts = quadratics(trial, part=0)
        steps = steps_until(
            lambda x: x.norm(dim=-1) <= target,
            _maker(rule, momentum),
            lambda x: x @ curvature,
            starts,
            torch.tensor([rate], dtype=starts.dtype),
            limit=LIMIT,
        ).clamp(max=LIMIT)
        metrics = {"steps": float(steps.mean()), "rate": rate, "momentum": momentum}
        return Outcome(metrics, {"steps": steps.squeeze(1)})

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Exponents near 1 and 1/2, and apart from each other."""
        checks = []
        for mode in ("optimal", "tuned"):
            slopes = {rule: exponents(records, f"{rule}, {mode}") for rule in LAWS}
            for rule, law in LAWS.items():
                name = f"exponent, {TITLES[rule]}, {mode}"
                checks.append(Check.near(name, mean_interval(slopes[rule]), law, within=WITHIN))
            for rule in ("momentum", "nesterov"):
                gain = paired_difference(slopes["sgd"], slopes[rule])
                name = f"exponent saved by {TITLES[rule]}, {mode}"
                checks.append(Check.at_least(name, gain, 0.4, zone=0.1))
        for rule in ("sgd", "momentum", "adam", "rmsprop"):
            slope = mean_interval(exponents(records, f"{rule}, coarse"))
            checks.append(Check.report(f"exponent to one hundredth, {TITLES[rule]}, tuned", slope))
        hardest = max(record.trial.config["kappa"] for record in records)
        checks += [_row(record) for record in records if record.trial.config["kappa"] == hardest]
        found = {rule: mean_interval(exponents(records, f"{rule}, tuned")).value for rule in LAWS}
        sentence = "Tuned, steps grow as " + ", ".join(f"κ^{found[rule]:.2f} ({TITLES[rule]})" for rule in LAWS) + "."
        return Verdict.of(*checks, sentence=sentence)

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """Steps against condition number, on two logarithmic axes."""
        from torchstone.studies.optim.curves import Line, panels

        def lines(mode: str, rules: Sequence[str]) -> list[Line]:
            tables = {rule: _table(records, f"{rule}, {mode}") for rule in rules}
            return [Line(TITLES[rule], kappa, steps.median(1).values, rule) for rule, (kappa, steps) in tables.items()]

        modes = {"best in theory": "optimal", "tuned": "tuned"}
        fine = {f"{title}, to a millionth": lines(mode, list(LAWS)) for title, mode in modes.items()}
        coarse = {"tuned, to a hundredth": lines("coarse", ["sgd", "momentum", "adam", "rmsprop"])}
        drawn = partial(panels, xlabel="condition number κ", ylabel="steps", log=["x", "y"])
        caption = (
            "Steps until the distance to the minimum has shrunk by as much as the panel says, median of quadratics."
        )
        return [
            Figure("Steps against condition number", caption, drawn(fine)),
            Figure("Adaptive rules, less far", caption, drawn(coarse)),
        ]


def optimal(rule: str, kappa: float) -> tuple[float, float]:
    r"""Momentum and step size that are best on quadratics with curvatures from 1/κ to 1.

    Gradient descent :math:`2/(1 + 1/\kappa)`; heavy ball :math:`\mu = (\frac{\sqrt\kappa - 1}{\sqrt\kappa + 1})^2` and
    :math:`(2/(1 + 1/\sqrt\kappa))^2`; Nesterov :math:`\mu = \frac{\sqrt{3\kappa + 1} - 2}{\sqrt{3\kappa + 1} + 2}` and
    :math:`4/(3 + 1/\kappa)`.
    """
    if rule == "sgd":
        return 0.0, 2 / (1 + 1 / kappa)
    root = math.sqrt(kappa)
    if rule == "momentum":
        return ((root - 1) / (root + 1)) ** 2, (2 / (1 + 1 / root)) ** 2
    wide = math.sqrt(3 * kappa + 1)
    return (wide - 2) / (wide + 2), 4 / (3 + 1 / kappa)


def quadratics(trial: Trial, *, part: int) -> tuple[Float[Tensor, "s d d"], Float[Tensor, "s d"]]:
    """Turned Hessians with curvatures from 1/κ to 1, and starts at distance 1; the same turns for every rule and κ.

    Part 0 is to measure on, part 1 to tune on.
    """
    copies, d, kappa = (trial.config[key] for key in ("copies", "d", "kappa"))
    generator = torch.Generator().manual_seed(2 * trial.seed + part)
    shares = torch.rand(copies, d - 2, generator=generator, dtype=torch.float64)
    ends = torch.tensor([0.0, 1.0], dtype=torch.float64).expand(copies, 2)
    curvatures = kappa ** -torch.cat([ends, shares], 1)  # (s, d)
    turns = torch.linalg.qr(torch.randn(copies, d, d, generator=generator, dtype=torch.float64)).Q
    starts = torch.randn(copies, d, generator=generator, dtype=torch.float64)
    return (turns * curvatures[:, None]) @ turns.mT, starts / starts.norm(dim=1, keepdim=True)


def exponents(records: Sequence[Record], arm: str) -> list[float]:
    """The slope of log steps against log κ, for each sequence of quadratics."""
    kappa, steps = _table(records, arm)
    slopes: list[float] = np.polyfit(kappa.log().numpy(), steps.log().numpy(), 1)[0].tolist()
    return slopes


def _table(records: Sequence[Record], arm: str) -> tuple[Float[Tensor, " k"], Float[Tensor, "k s"]]:
    """Condition numbers, rising, and the steps of each quadratic."""
    rows = sorted((r.trial.config["kappa"], r.artifacts["steps"]) for r in records if r.trial.arm == arm)
    return torch.tensor([kappa for kappa, _ in rows], dtype=torch.float64), torch.stack([steps for _, steps in rows])


def _tuned(trial: Trial) -> Setting:
    rule, target = trial.config["rule"], trial.config["target"]
    curvature, starts = quadratics(trial, part=1)
    momenta = (0.0,) if rule in ("sgd", "rmsprop") else MOMENTA
    low, high = (0.5, 4.0) if rule in LAWS else (1e-4, 1.0)
    rates = torch.logspace(math.log10(low), math.log10(high), SETTINGS // len(momenta), dtype=torch.float64)
    return tune(
        lambda x: x.norm(dim=-1) <= target,
        {str(momentum): _maker(rule, momentum) for momentum in momenta},
        lambda x: x @ curvature,
        starts,
        rates,
        limit=LIMIT,
    )


def _maker(rule: str, momentum: float) -> Make:
    """The rule at learning rate 1."""
    of_rule: dict[str, dict[str, Any]] = {
        "momentum": {"momentum": momentum},
        "nesterov": {"momentum": momentum},
        "adam": {"betas": (momentum, 0.999)},
    }
    hyper = of_rule.get(rule, {})
    return partial(create, rule, lr=1.0, **hyper)


def _row(record: Record) -> Check:
    rate, momentum = (record.metrics[name] for name in ("rate", "momentum"))
    setting = f"step size {rate:.2g}" + (f", momentum {momentum:.3g}" if momentum else "")
    rule, _, mode = record.trial.arm.partition(", ")
    kind = "tuned, to one hundredth" if mode == "coarse" else f"{mode}, to a millionth"
    name = f"steps at κ = {record.trial.config['kappa']:,g}, {TITLES[rule]}, {kind} ({setting})"
    return Check.report(name, mean_interval(record.artifacts["steps"].numpy()))
