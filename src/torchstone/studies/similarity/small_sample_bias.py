"""Biased CKA calls independent data similar when examples are few; debiased CKA does not."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from torchstone.data import glyphs
from torchstone.lab import Check, Claim, Context, Estimate, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, power_near
from torchstone.similarity import SimilarityWarning, chance_level, cka

GAUSSIAN = ((100, 10, 10), (100, 100, 100), (100, 1000, 1000), (100, 1000, 50), (400, 100, 100), (400, 1000, 1000))
TOLERANCE = 0.02
PICTURES = "unrelated pictures, n = 100"


@dataclass(frozen=True)
class Size:
    """Seeds for each setting, and independent pairs of data sets drawn for each seed."""

    seeds: int
    draws: int


class SmallSampleBias(Study):
    """Independent Gaussian data against the closed form, and shuffled real pictures against zero."""

    claim = Claim(
        name="small-sample-bias",
        sentence="Biased linear CKA of two independent data sets follows a closed form that nears 1 as the number of "
        "features outgrows the number of examples, while debiased CKA stays at 0.",
        paper=Paper(
            "Murphy, Zylberberg, Fyshe",
            2024,
            "Correcting Biased Centered Kernel Alignment Measures in Biological and Artificial Neural Networks",
            arxiv="2405.01012",
        ),
        method=[
            "We draw two data sets that know nothing of each other, n examples of p₁ and of p₂ Gaussian features, and "
            "compute linear CKA between them, once with the biased and once with the debiased estimator. An honest "
            "measure of similarity says 0.",
            "The biased estimator should follow √(p₁p₂ / ((n−1+p₁)(n−1+p₂))), which depends on the three sizes and on "
            "nothing else. We require every setting to agree with it within 0.02, and every debiased mean to lie "
            "within 0.02 of 0.",
            "The same on real data: pictures of glyphs in one typeface against the pictures of other, randomly "
            "assigned glyphs in another. Their features are strongly correlated, so the closed form does not apply; "
            "the debiased value must still be 0.",
        ],
        differs=[
            "The closed form is derived here, from the expected entries of centred Wishart matrices.",
            "Pictures of glyphs stand in for brain recordings.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(seeds=2, draws=2),
        "laptop": Size(seeds=10, draws=10),
        "paper": Size(seeds=50, draws=100),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Every setting of (n, p₁, p₂), and real pictures, with every seed."""
        configs = {_arm(n, p1, p2): {"n": n, "p1": p1, "p2": p2} for n, p1, p2 in GAUSSIAN} | {"pictures": {"n": 100}}
        return [
            Trial(arm, seed, config | {"draws": scale.draws})
            for arm, config in configs.items()
            for seed in range(scale.seeds)
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Mean biased and debiased CKA over independent pairs."""
        generator = torch.Generator().manual_seed(trial.seed)
        draw = _pictures if trial.arm == "pictures" else _gaussians
        values = []
        for k in range(trial.config["draws"]):
            x, y = (z.to(context.device) for z in draw(trial, generator))
            values.append([_linear_cka(x, y, "biased"), _linear_cka(x, y, "debiased")])
            context.progress((k + 1) / trial.config["draws"], f"pair {k + 1}")
        biased, debiased = torch.tensor(values).mean(0).tolist()
        return Outcome({"biased": biased, "debiased": debiased})

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Each setting within 0.02 of the closed form, each debiased mean within 0.02 of zero."""
        debiased = {_label(*sizes): _mean(records, _arm(*sizes), "debiased") for sizes in GAUSSIAN}
        debiased[PICTURES] = _mean(records, "pictures", "debiased")
        checks = [
            Check.near(
                f"biased CKA, {_label(*sizes)}",
                _mean(records, _arm(*sizes), "biased"),
                chance_level(*sizes),
                within=TOLERANCE,
            )
            for sizes in GAUSSIAN
        ]
        checks += [
            Check.near(f"debiased CKA, {setting}", estimate, 0.0, within=TOLERANCE)
            for setting, estimate in debiased.items()
        ]
        pictures = _mean(records, "pictures", "biased")
        checks.append(Check.report(f"biased CKA, {PICTURES}", pictures))
        worst = max(abs(estimate.value) for estimate in debiased.values())
        sentence = (
            f"Unrelated pictures have a biased CKA of {pictures.value:.2f}; "
            f"debiased means stay within {worst:.3f} of 0."
        )
        return Verdict.of(*checks, sentence=sentence)

    def power(self, scale: Size) -> Mapping[str, float]:
        """Of the noisiest setting for each estimator and of the pictures, were the closed form and the zero exact.

        The standard deviations are those between seeds in a pilot (seed block 1, ten draws a seed).
        """
        pilot = {
            f"biased CKA, {_label(100, 10, 10)}": 0.0039,
            f"debiased CKA, {_label(100, 1000, 1000)}": 0.0052,
            f"debiased CKA, {PICTURES}": 0.0036,
        }
        narrower = (10 / scale.draws) ** 0.5
        return {name: power_near(sd * narrower, scale.seeds, within=TOLERANCE) for name, sd in pilot.items()}

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """Measured against predicted."""
        from torchstone.studies.similarity.drawing import bias_against_law

        law = [chance_level(*sizes) for sizes in GAUSSIAN]
        arms = [_arm(*sizes) for sizes in GAUSSIAN]
        drawing = bias_against_law(
            law, [_mean(records, a, "biased").value for a in arms], [_mean(records, a, "debiased").value for a in arms]
        )
        caption = (
            "Each mark is one setting of (n, p₁, p₂) with independent data. The biased estimator lies on the "
            "prediction, the diagonal; the debiased one on zero."
        )
        return [Figure("CKA of independent data", caption, drawing)]


def _arm(n: int, p1: int, p2: int) -> str:
    return f"n{n}-p{p1}-p{p2}"


def _label(n: int, p1: int, p2: int) -> str:
    return f"n = {n}, p = {p1} and {p2}"


def _gaussians(trial: Trial, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    n, p1, p2 = (trial.config[key] for key in ("n", "p1", "p2"))
    x, y = (torch.randn(n, p, generator=generator, dtype=torch.float64) for p in (p1, p2))
    return x, y


def _pictures(trial: Trial, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two disjoint draws of n classes, each in a typeface of its own, as pixels."""
    images = glyphs().images  # (classes, faces, 28, 28)
    n = trial.config["n"]
    classes = torch.randperm(len(images), generator=generator)[: 2 * n]
    faces = torch.randperm(images.shape[1], generator=generator)[:2].tolist()
    x, y = (images[part, face].flatten(1).double() for part, face in zip(classes.view(2, n), faces, strict=True))
    return x, y


def _linear_cka(x: Tensor, y: Tensor, estimator: Literal["biased", "debiased"]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SimilarityWarning)  # it warns of the very bias that is measured here
        return float(cka(x, y, estimator=estimator))


def _mean(records: Sequence[Record], arm: str, metric: str) -> Estimate:
    return mean_interval([record.metrics[metric] for record in records if record.trial.arm == arm])
