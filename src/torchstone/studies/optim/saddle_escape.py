"""Do rules that divide by the size of the gradient leave a saddle at once, however near its ridge they start?"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.lab import Check, Claim, Context, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, paired_difference
from torchstone.optim import create
from torchstone.studies.optim.stopwatch import Field, Make, steps_until, tune

UP, DOWN = 1.0, 0.1  # curvature across the valley, and curvature away from the ridge
NEAR, FAR = 1e-9, 1e-3  # distances from the ridge that are compared
ARRIVED = 0.05  # how near to the bottom of a bowl a tuned rule must come
FINE = 1e-3  # the step size of normalised gradient descent that stands for continuous time
LIMIT = 20_000
SCALED = ("normalized", "rmsprop", "adam", "amsgrad", "adagrad")
TITLES = {
    "sgd": "gradient descent",
    "momentum": "heavy ball",
    "nesterov": "Nesterov",
    "normalized": "normalised gradient descent",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "amsgrad": "AMSGrad",
    "adagrad": "Adagrad",
    "usual_adam": "Adam with its usual ε",
    "fine_normalized": "normalised gradient descent, fine steps",
}
HYPER: Mapping[str, Mapping[str, Any]] = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "normalized": {},
    "rmsprop": {"alpha": 0.99, "eps": 1e-30},
    "adam": {"betas": (0.9, 0.999), "eps": 1e-30},
    "amsgrad": {"betas": (0.9, 0.999), "eps": 1e-30},
    "adagrad": {"eps": 1e-30},
    "usual_adam": {"betas": (0.9, 0.999), "eps": 1e-8},
    "fine_normalized": {},
}
SHOWN = ("momentum", "nesterov", "usual_adam", "fine_normalized")
SAME = {
    "normalized": "sgd",
    "fine_normalized": "sgd",
    "usual_adam": "adam",
}  # what else differs is in HYPER or the gradient
RATES = torch.logspace(-4, 1, 51, dtype=torch.float64)  # for every rule


@dataclass(frozen=True)
class Size:
    """Starts, how they are turned, and distances from the ridge as powers of ten."""

    copies: int
    powers: tuple[int, ...]


class SaddleEscape(Study):
    """Steps to leave the neighbourhood of a saddle against the distance from its ridge at the start."""

    claim = Claim(
        name="saddle-escape",
        sentence="Rules that divide by the size of the gradient leave a saddle in a number of steps that hardly "
        "depends on how near its ridge they start, whichever way the saddle is turned, while that of gradient descent "
        "grows with the logarithm of the nearness.",
        paper=Paper(
            "Murray, Swenson, Kar",
            2019,
            "Revisiting Normalized Gradient Descent: Fast Evasion of Saddle Points",
            arxiv="1711.05224",
            where="abstract; IEEE Transactions on Automatic Control 64(11)",
        ),
        method=[
            "A saddle of the plane: a valley of curvature 1 in one direction, a ridge of curvature -0.1 in the other, "
            "at right angles. A rule starts 1 to 2 away from the saddle along the ridge's top line and a tiny distance "
            "y₀ off it. We count its steps until it is 1 away from the top line. Two arms: the ridge runs along a "
            "coordinate axis, as in the well-known animations; or the whole is turned by a random angle, since "
            "nothing in a network lines up with the axes.",
            "For gradient descent with step η the number is ln(1/y₀)/ln(1 + 0.1 η): three times as much from 1e-9 as "
            "from 1e-3. We call that ratio growth: 3 for gradient descent, 1 for a rule that does not care.",
            "Every rule's step size is the best of the same 51 from 1e-4 to 10 for another task: to come within 0.05 "
            "of the bottom of a bowl of curvatures 1 and 0.1, from starts 1 to 2 away along the one and 1 along the "
            "other axis, turned likewise. A step size must serve for minimising as well. Constants added to the size "
            "of the gradient are set to 1e-30, so that the division is by the gradient's size alone. A rule that is "
            "not away after 20,000 steps has no growth, and its check is inconclusive.",
            "Decided beforehand: gradient descent's growth lies within 0.2 of 3 (both arms), and that of normalised "
            "gradient descent, RMSProp, Adam, AMSGrad and Adagrad is lower by at least 1.5, three quarters of what "
            "can be saved; a saving within ±0.2 counts as none. Intervals over starts and angles (95 %), paired.",
            "Shown beside it: normalised gradient descent at the untuned step 0.001, which comes near to the paper's "
            "continuous time; Adam with its usual ε of 1e-8; and, as a control, starts exactly on the top line of the "
            "axis-parallel saddle, which no rule leaves.",
        ],
        differs=[
            "The paper proves its bound for normalised gradient descent in continuous time (escape from a ball of "
            "radius r takes at most 5√κ r, where κ is the saddle's condition number). We take steps of finite size, "
            "and extend the question to rules that divide each coordinate by its own gradient's size, which the paper "
            "does not treat.",
            "A quadratic saddle, which is what any saddle looks like near by.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(2, (-1, -3, -9)),
        "laptop": Size(32, (-1, -2, -3, -4, -5, -6, -7, -8, -9)),
        "paper": Size(500, (-1, -2, -3, -4, -5, -6, -7, -8, -9, -10, -11, -12)),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Every rule on both saddles; all starts are entries of one parameter."""
        config = {"copies": scale.copies, "powers": list(scale.powers)}
        return [
            Trial(f"{rule}, {saddle}", 0, config | {"rule": rule, "turned": saddle == "turned"})
            for saddle in ("along the axes", "turned")
            for rule in TITLES
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Tune on other starts, then count steps from every distance."""
        rule, powers = trial.config["rule"], trial.config["powers"]
        rate = _tuned(trial)
        steps = torch.stack([_steps(trial, rule, 10.0**power, rate) for power in powers])
        metrics = {"rate": rate, "steps from nearest the ridge": float(steps[-1].mean())}
        if not trial.config["turned"]:
            metrics["left the top line"] = float((_steps(trial, rule, 0.0, rate, limit=500) < 500).double().mean())
        return Outcome(metrics, {"steps": steps, "distance": torch.tensor(powers, dtype=torch.float64).neg()})

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Gradient descent's growth is 3, and the others' hardly above 1."""
        growth = {record.trial.arm: _growth(record) for record in records}
        checks = []
        for saddle in ("along the axes", "turned"):
            plain = growth[f"sgd, {saddle}"]
            checks.append(Check.near(f"growth, gradient descent, {saddle}", mean_interval(plain), 3.0, within=0.2))
            for rule in SCALED:
                saved = paired_difference(plain, growth[f"{rule}, {saddle}"])
                checks.append(Check.at_least(f"growth saved, {TITLES[rule]}, {saddle}", saved, 1.5, zone=0.2))
            for rule in SHOWN:
                estimate = mean_interval(growth[f"{rule}, {saddle}"])
                checks.append(Check.report(f"growth, {TITLES[rule]}, {saddle}", estimate))
        for record in records:
            rule = TITLES[record.trial.config["rule"]]
            saddle = "turned" if record.trial.config["turned"] else "along the axes"
            rate = record.metrics["rate"]
            nearest = mean_interval(record.artifacts["steps"][-1].numpy())
            checks.append(
                Check.report(f"steps from nearest the ridge, {rule}, {saddle} (step size {rate:.2g})", nearest)
            )
        left = [record.metrics["left the top line"] for record in records if not record.trial.config["turned"]]
        checks.append(Check.report("share that left from the top line itself, all rules", mean_interval(left)))
        times = {rule: mean_interval(growth[f"{rule}, turned"]).value for rule in ("sgd", "adam", "normalized")}
        sentence = (
            f"From a millionth of the distance to the ridge of a turned saddle, gradient descent needs "
            f"{times['sgd']:.2f} times the steps, Adam {times['adam']:.2f} times, and normalised gradient descent "
            f"{times['normalized']:.2f} times."
        )
        return Verdict.of(*checks, sentence=sentence)

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """Steps against distance, a panel for each way that the saddle lies."""
        from torchstone.studies.optim.curves import Line, panels

        groups = {
            title: [
                Line(
                    TITLES[r.trial.config["rule"]],
                    r.artifacts["distance"],
                    r.artifacts["steps"].mean(1),
                    r.trial.config["rule"],
                )
                for r in records
                if r.trial.config["turned"] == turned
            ]
            for title, turned in (("ridge along an axis", False), ("saddle turned at random", True))
        }
        drawing = panels(
            groups, xlabel="nearness to the ridge at the start, −log₁₀ y₀", ylabel="steps to leave", log=["y"]
        )
        caption = (
            "A flat line does not care how near the ridge it starts. Mean over starts; step sizes tuned on a bowl. "
            "A line with another colour's markers on it is two lines: those rules take the same steps."
        )
        return [Figure("Steps to leave a saddle", caption, drawing)]


def saddles(trial: Trial, *, part: int) -> tuple[Float[Tensor, "s 2 2"], Float[Tensor, " s"]]:
    """Turns (the first column points along the valley's walls, the second away from the ridge), and starts in (1, 2).

    Part 0 is to measure on, part 1 to tune on.
    """
    generator = torch.Generator().manual_seed(2 * trial.seed + part)
    draws = torch.rand(2, trial.config["copies"], generator=generator, dtype=torch.float64)
    angle = draws[0] * 2 * math.pi * trial.config["turned"]
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([torch.stack([cos, -sin], 1), torch.stack([sin, cos], 1)], 1), 1 + draws[1]


def _steps(trial: Trial, rule: str, distance: float, rate: float, *, limit: int = LIMIT) -> Float[Tensor, " s"]:
    """Steps until 1 away from the top line; ``limit`` where it takes more."""
    turns, along = saddles(trial, part=0)
    steps = steps_until(
        lambda x: (x @ turns)[..., 1].abs() >= 1,
        _maker(rule),
        _gradient(rule, turns, -DOWN),
        _starts(turns, along, distance),
        torch.tensor([rate], dtype=torch.float64),
        limit=limit,
    )
    return steps.squeeze(1).clamp(max=limit)


def _tuned(trial: Trial) -> float:
    """The best step size to come down to the bottom of a bowl with the same curvatures, all upward."""
    rule = trial.config["rule"]
    if rule == "fine_normalized":
        return FINE
    turns, along = saddles(trial, part=1)
    starts = _starts(turns, along, 1.0)
    bowl = _gradient(rule, turns, DOWN)
    chosen = tune(lambda x: x.norm(dim=-1) <= ARRIVED, {rule: _maker(rule)}, bowl, starts, RATES, limit=LIMIT)
    return chosen.rate


def _starts(turns: Float[Tensor, "s 2 2"], along: Float[Tensor, " s"], distance: float) -> Float[Tensor, "s 2"]:
    flat = torch.stack([along, torch.full_like(along, distance)], 1)
    return (turns @ flat[..., None]).squeeze(-1)


def _gradient(rule: str, turns: Float[Tensor, "s 2 2"], away: float) -> Field:
    """Of (UP · x² + ``away`` · y²)/2, turned; of length 1 for the normalised rule."""
    curvature = turns @ torch.tensor([[UP, 0.0], [0.0, away]], dtype=turns.dtype) @ turns.mT
    plain: Callable[[Tensor], Tensor] = lambda x: x @ curvature  # noqa: E731
    if "normalized" not in rule:
        return plain
    return lambda x: torch.nn.functional.normalize(plain(x), dim=-1, eps=1e-300)


def _maker(rule: str) -> Make:
    """The rule at learning rate 1; normalised gradient descent is gradient descent on normalised gradients."""
    return partial(create, SAME.get(rule, rule), lr=1.0, **HYPER[rule])


def _growth(record: Record) -> list[float]:
    """Steps from near over steps from far, for each start; NaN where the rule did not get away."""
    steps, powers = record.artifacts["steps"], record.trial.config["powers"]
    near, far = (steps[list(powers).index(round(math.log10(distance)))] for distance in (NEAR, FAR))
    ratios: list[float] = torch.where((near < LIMIT) & (far < LIMIT), near / far, torch.nan).tolist()
    return ratios
