"""Across a jump the pathwise gradient is wrong, not noisy; the score function is right; and the jump is seen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Normal

from torchstone.lab import Check, Claim, Context, Estimate, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, paired_difference, power, power_near
from torchstone.programs.expectation import BiasedGradientError, Expectation
from torchstone.studies.programs.jumps import JUMPS, PROBLEMS, SMOOTH, Function, derivative, excess

MEANS = (-1.0, 0.0, 1.0, 2.0)
WRONG, RIGHT, LOST = 0.25, 0.1, 0.1
PATH = "{}: error of the pathwise gradient"
SCORE = "{}: error of the score's"
DESCENT = "{}: how much higher descent by the path ends"
PILOT_SD = {PATH: 0.004, SCORE: 0.009, DESCENT: 0.013}  # the largest of all functions


@dataclass(frozen=True)
class Size:
    """Seeds; estimates of 100 samples at each mean; steps of descent."""

    seeds: int
    repeats: int
    steps: int


class PathwiseIsWrongWhenNot(Study):
    """Functions with and without jumps, whose expectation is known in closed form."""

    claim = Claim(
        name="pathwise-is-wrong-when-not",
        sentence="Where f jumps, the pathwise gradient is off by a quarter of the true one or more and leads descent "
        "astray, the score function is right, and a look at f's program tells the two cases apart.",
        paper=Paper(
            "Lee, Yu, Yang",
            2018,
            "Reparameterization Gradient for Non-differentiable Models",
            arxiv="1806.00176",
            where="section 3",
        ),
        method=[
            "We draw ξ from a normal distribution around θ and want to lower the mean of f(ξ). The pathwise estimator "
            "averages the slope of f at the samples. Where f jumps it has no slope, so the jump goes unnoticed, "
            "however many samples are drawn. The score-function estimator only uses the values of f.",
            "Three functions have jumps (rounding, a fine below a line, a toll above one), two have none (the square, "
            "the absolute value). For each the mean and its derivative are known in closed form: the truth.",
            "Both estimators are compared with the truth at θ = -1, 0, 1 and 2: the length of the error over the "
            "length of the true derivative. Then both descend from θ = 0, with as many steps and samples.",
            "Confirmed if, for each function with jumps, the pathwise error is at least 0.25, the score's within 0.1 "
            "of 0, and descent by the path ends at least 0.1 higher than by the score; the path's error is within 0.1 "
            "of 0 for each function without jumps; and torchstone refuses the pathwise estimator for all functions "
            "with jumps and for none without.",
        ],
        differs=[
            "Functions of one variable with a known truth instead of probabilistic programs.",
            "The paper's own estimator, which adds the boundaries' part to the path's, is not tested.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(seeds=2, repeats=4, steps=5),
        "laptop": Size(seeds=8, repeats=200, steps=300),
        "paper": Size(seeds=50, repeats=1000, steps=3000),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Every function with every seed."""
        config = {"repeats": scale.repeats, "steps": scale.steps}
        return [Trial(problem, seed, config) for problem in PROBLEMS for seed in range(scale.seeds)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Both estimators against the truth, and where they lead."""
        problem = PROBLEMS[trial.arm]
        truth = derivative(problem, torch.tensor(MEANS, dtype=torch.float64))
        metrics = {"refused": float(refused(problem.f))}
        for name in ("pathwise", "score"):
            found = gradients(problem.f, name, trial)
            metrics[f"error of {name}"] = float((found - truth).norm() / truth.norm())
            metrics[f"excess of {name}"] = excess(problem, descended(problem.f, name, trial))
        context.progress(1.0, trial.arm)
        return Outcome(metrics)

    def judge(self, records: Sequence[Record]) -> Verdict:
        """The path is wrong across jumps and right elsewhere; the score is right; the jumps are seen."""
        checks = []
        for name in JUMPS:
            path, score = (mean_interval(column(records, name, f"error of {e}")) for e in ("pathwise", "score"))
            lost = paired_difference(*(column(records, name, f"excess of {e}") for e in ("pathwise", "score")))
            checks += [
                Check.at_least(PATH.format(name), path, WRONG, zone=0.05),
                Check.near(SCORE.format(name), score, 0.0, within=RIGHT),
                Check.at_least(DESCENT.format(name), lost, LOST, zone=0.02),
            ]
        for name in SMOOTH:
            path = mean_interval(column(records, name, "error of pathwise"))
            checks.append(Check.near(PATH.format(name), path, 0.0, within=RIGHT))
        seen, false_alarms = (share_refused(records, group) for group in (JUMPS, SMOOTH))
        checks.append(Check.near("functions with jumps that are refused", seen, 1.0, within=0.01))
        checks.append(Check.near("functions without that are refused", false_alarms, 0.0, within=0.01))
        errors = [mean_interval(column(records, name, "error of pathwise")).value for name in JUMPS]
        sentence = f"Across jumps the pathwise gradient is off by {min(errors):.0%} to {max(errors):.0%}."
        return Verdict.of(*checks, sentence=sentence)

    def power(self, scale: Size) -> Mapping[str, float]:
        """Were errors that should be large twice what decides, and small ones half of it.

        The spread is that of pilots: 16 seeds of blocks 1 and 2.
        """
        if scale != self.scales["laptop"]:
            return {}
        small = {kind: power_near(PILOT_SD[kind], scale.seeds, within=RIGHT, off=RIGHT / 2) for kind in (PATH, SCORE)}
        path, lost = (power(2 * t, PILOT_SD[k], scale.seeds, threshold=t) for k, t in ((PATH, WRONG), (DESCENT, LOST)))
        across = {PATH: path, SCORE: small[SCORE], DESCENT: lost}
        declared = {kind.format(name): chance for name in JUMPS for kind, chance in across.items()}
        return declared | {PATH.format(name): small[PATH] for name in SMOOTH}

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """Errors of both estimators, and where descent ends."""
        from torchstone.studies.programs.expectation_drawing import pairs_of_bars

        def panel(metric: str) -> Mapping[str, tuple[Estimate, Estimate]]:
            names = [f"{metric} of {e}" for e in ("pathwise", "score")]
            return {
                problem: (
                    mean_interval(column(records, problem, names[0])),
                    mean_interval(column(records, problem, names[1])),
                )
                for problem in PROBLEMS
            }

        drawing = pairs_of_bars({"error / true gradient": panel("error"), "height above the best": panel("excess")})
        caption = (
            "Left: how far off each estimator is, as a share of the true gradient. Right: how far above the best mean "
            "of f descent ends. The first two functions are continuous, the others jump."
        )
        return [Figure("The path does not see jumps", caption, drawing)]


def refused(f: Function) -> bool:
    """Whether the pathwise estimator is refused for f."""
    theta = torch.zeros((), dtype=torch.float64, requires_grad=True)
    try:
        Expectation(f, lambda: Normal(theta, 1), "pathwise")()
    except BiasedGradientError:
        return True
    return False


def gradients(f: Function, estimator: str, trial: Trial) -> Tensor:
    """The estimated gradient at each of the means."""
    found = []
    for place, mean in enumerate(MEANS):
        theta = torch.tensor(mean, dtype=torch.float64, requires_grad=True)
        seed = 2 * (len(MEANS) * trial.seed + place)
        loss = Expectation(f, lambda: Normal(theta, 1), estimator, 100, seed=seed, check=False)  # noqa: B023
        found.append(loss.gradient(theta, repeats=trial.config["repeats"]).mean[0])
    return torch.stack(found)


def descended(f: Function, estimator: str, trial: Trial) -> Tensor:
    """The mean after descent from 0: that of the second half of the steps."""
    theta = torch.zeros((), dtype=torch.float64, requires_grad=True)
    loss = Expectation(f, lambda: Normal(theta, 1), estimator, 16, seed=2 * trial.seed + 1, check=False)
    path = []
    for _ in range(trial.config["steps"]):
        slope = loss.gradient(theta, repeats=2).mean[0]
        with torch.no_grad():
            theta -= 0.05 * slope
        path.append(theta.detach().clone())
    return torch.stack(path[len(path) // 2 :]).mean()


def column(records: Sequence[Record], problem: str, metric: str) -> list[float]:
    """A metric of a problem, by seed."""
    found = sorted((record for record in records if record.trial.arm == problem), key=lambda r: r.trial.seed)
    return [record.metrics[metric] for record in found]


def share_refused(records: Sequence[Record], problems: Mapping[str, object]) -> Estimate:
    """The mean over all of the problems."""
    return mean_interval([value for problem in problems for value in column(records, problem, "refused")])
