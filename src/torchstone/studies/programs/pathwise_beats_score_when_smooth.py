"""Where f is smooth, the path gives gradients of a small fraction of the score's variance, and so learns faster."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torchstone.data import Batches
from torchstone.lab import Check, Claim, Context, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, paired_difference
from torchstone.programs.expectation import Expectation
from torchstone.studies.programs.vae import VAE, binary_digits
from torchstone.training import Player, Round, fit

ARMS = ("pathwise", "score")
RATES = (1e-3, 3e-3, 1e-2)
LOOKS = 40
SAMPLES = 8


@dataclass(frozen=True)
class Size:
    """Seeds, steps of each training, and estimates that a variance is taken over."""

    seeds: int
    steps: int
    repeats: int


class PathwiseBeatsScoreWhenSmooth(Study):
    """The same variational autoencoder, trained by two unbiased gradients of the same bound."""

    claim = Claim(
        name="pathwise-beats-score-when-smooth",
        sentence="In a variational autoencoder, where f is smooth, the pathwise gradient has less than a tenth of the "
        "variance of the score-function gradient with a leave-one-out baseline, and reaches the same bound in less "
        "than a tenth of the steps.",
        paper=Paper(
            "Kingma, Welling", 2013, "Auto-Encoding Variational Bayes", arxiv="1312.6114", where="sections 2.2 and 2.4"
        ),
        method=[
            "A variational autoencoder draws a code for each picture and decodes it. To train the encoder one needs "
            "the gradient of a mean over codes that are drawn by the encoder itself. Two estimators are right on "
            "average: the path, which differentiates through the draw, and the score function, which tries codes and "
            "favours those that did better than the others.",
            "Both train the same network (8×8 digits, 8 code dimensions) from the same weights, on the same batches, "
            "with 8 codes a picture, for the same number of steps; each with the best of the same three learning "
            "rates, chosen on validation pictures. 41 looks at the bound of test pictures show how fast they learn.",
            "Confirmed if, over seeds, the logarithm (base 10) of the ratio of variances, summed over the encoder's "
            "weights at the end of training and averaged over both networks, is at least 1, and so is the logarithm "
            "of how many times fewer steps the path needs to the bound that the score ends with (never getting there "
            "counts as no fewer).",
        ],
        differs=[
            "8×8 binary digits instead of MNIST; 8 codes a picture, since leave-one-out needs more than one.",
            "The score function has a baseline; the paper speaks of the naive one, which is worse.",
            "The tenth is ours: the paper gives no number.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(seeds=2, steps=4, repeats=2),
        "laptop": Size(seeds=5, steps=600, repeats=32),
        "paper": Size(seeds=10, steps=50_000, repeats=100),
    }
    compares = ARMS

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Both estimators with every seed."""
        config = {"steps": scale.steps, "repeats": scale.repeats}
        return [Trial(arm, seed, config) for seed in range(scale.seeds) for arm in ARMS]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Train at each learning rate, keep the best on validation pictures, and measure both variances there."""
        train, validation, test = (part.to(context.device) for part in binary_digits())
        batches = Batches(train, torch.zeros(len(train)), size=64, seed=trial.seed, device=context.device)
        best, chosen, curve, rate = -torch.inf, None, torch.empty(0), 0.0
        for place, lr in enumerate(RATES):
            vae, seen = trained(trial, lr, batches, (validation, test))
            if seen[-1, 0] > best:
                best, chosen, curve, rate = float(seen[-1, 0]), vae, seen[:, 1], lr
            context.progress((place + 1) / len(RATES), f"learning rate {lr:g}")
        if chosen is None:
            raise FloatingPointError("No learning rate gave a finite bound.")
        path, score = (variance(chosen, arm, train[:64], trial) for arm in ARMS)
        metrics = {"bound": float(curve[-1]), "rate": rate, "log variance ratio": float((score / path).log10())}
        return Outcome(metrics, {"curve": curve})

    def judge(self, records: Sequence[Record]) -> Verdict:
        """A tenth of the variance, a tenth of the steps."""
        by_arm = {arm: ordered(records, arm) for arm in ARMS}
        pairs = list(zip(*by_arm.values(), strict=True))
        ratio = mean_interval([sum(r.metrics["log variance ratio"] for r in pair) / 2 for pair in pairs])
        speed = mean_interval([log_speed_up(path, score) for path, score in pairs])
        bounds = [[record.metrics["bound"] for record in by_arm[arm]] for arm in ARMS]
        return Verdict.of(
            Check.at_least("log₁₀ of the score's variance over the path's", ratio, 1.0, zone=0.1),
            Check.at_least("log₁₀ of how many times fewer steps the path needs", speed, 1.0, zone=0.1),
            Check.report("bound at the end, path minus score (nats)", paired_difference(*bounds)),
            sentence=f"The path has {10**-ratio.value:.2g} of the variance, {10**-speed.value:.2g} of the steps.",
        )

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """The bound over the steps."""
        from torchstone.studies.programs.expectation_drawing import learning_curves

        curves = {arm: torch.stack([r.artifacts["curve"] for r in ordered(records, arm)]) for arm in ARMS}
        drawing = learning_curves(curves, records[0].trial.config["steps"])
        caption = "The bound of test pictures over the steps; a thin line a seed, a thick one for their mean."
        return [Figure("The same bound by two gradients", caption, drawing)]


def trained(trial: Trial, lr: float, batches: Batches, held_out: tuple[Tensor, Tensor]) -> tuple[VAE, Tensor]:
    """A network, and its bound (looks, 2) of validation and test pictures on the way, the first before any step."""
    vae = VAE(seed=trial.seed).to(batches.images.device)
    loss = Expectation(
        lambda z, batch: vae.loss(z, batch[0]),
        lambda batch: vae.posterior(batch[0]),
        trial.arm,
        SAMPLES,
        seed=trial.seed,
    )
    steps = trial.config["steps"]
    every = max(1, steps // LOOKS)
    seen = [bounds(vae, held_out)]

    def look(done: Round) -> None:
        if done.step % every == 0:
            seen.append(bounds(vae, held_out))

    player = Player(vae, loss, torch.optim.Adam(vae.parameters(), lr))
    fit(player, batches, steps=steps, seed=trial.seed, callbacks=[look], generators={"xi": loss.generator})
    return vae, torch.stack(seen)


def bounds(vae: VAE, parts: Sequence[Tensor]) -> Tensor:
    """The ELBO of each part in nats, always with the same noise."""
    with torch.no_grad():
        return torch.stack(
            [-Expectation(vae.loss, vae.posterior, "pathwise", 4, seed=1, check=False)(part) for part in parts]
        )


def variance(vae: VAE, estimator: str, x: Tensor, trial: Trial) -> Tensor:
    """Of a gradient on a batch, summed over the encoder's weights."""
    loss = Expectation(vae.loss, vae.posterior, estimator, SAMPLES, seed=trial.seed + 2**20, check=False)
    gradient = loss.gradient(list(vae.encoder.parameters()), x, repeats=trial.config["repeats"], at_once=4)
    return torch.stack([part.sum() for part in gradient.variance]).sum()


def log_speed_up(path: Record, score: Record) -> float:
    """How many times earlier the path reaches the bound that the score ends with, as a logarithm; 0 if never."""
    curve, goal = path.artifacts["curve"], score.artifacts["curve"][-1]
    there = (curve >= goal).nonzero()
    looks = len(curve) - 1
    return float(torch.tensor(looks / max(1, int(there[0])) if len(there) else 1.0).log10())


def ordered(records: Sequence[Record], arm: str) -> list[Record]:
    """The records of an arm, by seed."""
    return sorted((record for record in records if record.trial.arm == arm), key=lambda record: record.trial.seed)
