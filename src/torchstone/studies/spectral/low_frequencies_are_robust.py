"""Low frequencies of a trained network survive random changes of its parameters better than high ones."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from torchstone.lab import Check, Claim, Context, Figure, Outcome, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, paired_difference
from torchstone.spectral import SumOfSines, perturbation_spectrum, rank_correlation
from torchstone.studies.spectral.networks import DIRECTIONS, PHASES, PLACES, network, rahaman, train
from torchstone.studies.spectral.records import mean_of, of_arm

MEASURES = ("retained", "retained_in_phase", "moved")


@dataclass(frozen=True)
class Size:
    """Networks for each arm, their size, the signal, the training, and the perturbations."""

    networks: int
    depth: int
    width: int
    frequencies: tuple[int, ...]
    n: int
    steps: int
    lr: float
    largest: float
    sizes: int
    directions: int


class LowFrequenciesAreRobust(Study):
    """Spectra of trained networks after perturbations of all parameters in random directions."""

    claim = Claim(
        name="low-frequencies-are-robust",
        sentence="When all parameters of a trained ReLU network are moved in a random direction, its low frequencies "
        "retain a larger share of their amplitude than its high ones.",
        paper=rahaman("Section 3, Figure 2"),
        method=[
            "We train networks on a sum of eight sines of equal amplitude. Then we move all parameters together by a "
            "distance δ in a random direction and measure how much of each sine is left, on average over many "
            "directions.",
            "The paper's measure is the amplitude after, divided by the amplitude before. It has a flaw: a perturbed "
            "network adds noise of its own, mostly of low frequency, and amplitudes cannot be negative, so noise "
            "passes for retained signal. We therefore measure a second time only that part of the amplitude that has "
            "the phase from before, in which noise of random phase averages out.",
            "Each network is judged at the δ where the shares in phase are closest to a half on average over "
            "frequencies, by the "
            "rank correlation of frequency with what is lost: 1 if every higher frequency loses more than every lower "
            "one. Decided beforehand: on average over networks it must be at least 0.7 by either measure. In the "
            "control, networks learn the same samples at shuffled places, where frequency means nothing; the rank "
            "correlation in phase must be lower there by at least 0.3 on average (pairs with the same seed).",
            "Reported only: the rank correlation of frequency with how far each coefficient moves in the complex "
            "plane, which would be positive if low frequencies were the more robust in this stricter sense.",
        ],
        differs=[
            "5 linear layers of 128 units, frequencies 1 to 8 and 100 samples instead of 6 of 256, 10 to 50 and 200; "
            "4,000 steps at a learning rate of 0.001 (the scale 'paper' has the paper's).",
            "The paper shows curves and no number; the rank correlation, the part in phase and the control are ours.",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(1, 3, 16, (1, 2, 3), 20, 20, 1e-2, 1.0, 3, 4),
        "laptop": Size(10, 5, 128, tuple(range(1, 9)), 100, 4000, 1e-3, 10.0, 41, 100),
        "paper": Size(5, 6, 256, tuple(range(10, 51, 5)), 200, 60_000, 3e-4, 5.001, 100, 100),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Even and shuffled places with every seed."""
        config = {name: value for name, value in asdict(scale).items() if name != "networks"}
        config["frequencies"] = list(scale.frequencies)
        return [
            Trial(arm, seed, config | {"shuffled": arm == "shuffled"})
            for arm in ("even", "shuffled")
            for seed in range(scale.networks)
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Train one network, then perturb it."""
        config = trial.config
        target = SumOfSines(config["frequencies"], n=config["n"], seed=PHASES + trial.seed)
        x = target.z[:, None].to(context.device)
        if config["shuffled"]:
            x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(PLACES + trial.seed))]
        model = network(config["depth"], config["width"], seed=trial.seed).to(context.device)
        y = target.values.to(context.device)
        history = train(model, x, y, steps=config["steps"], lr=config["lr"], context=context)
        found = perturbation_spectrum(
            model,
            x,
            config["frequencies"],
            torch.linspace(0, config["largest"], config["sizes"]),
            config["directions"],
            seed=DIRECTIONS + trial.seed,
        )
        shares = {
            "retained": found.retained,
            "retained_in_phase": found.retained_in_phase,
            "moved": found.moved / found.unperturbed,
        }
        metrics = {"loss": history.final["player/loss"], "least_learned": float(found.unperturbed.min())}
        return Outcome(metrics, {"deltas": found.deltas} | shares)

    def judge(self, records: Sequence[Record]) -> Verdict:
        """Rank correlations of at least 0.7, and at least 0.3 above those at shuffled places."""
        lost, in_phase = (mean_interval(_orders(records, "even", measure)) for measure in MEASURES[:2])
        shuffled = _orders(records, "shuffled", "retained_in_phase")
        control = paired_difference(_orders(records, "even", "retained_in_phase"), shuffled)
        low, high = (mean_interval(_shares(records, "retained_in_phase", part)) for part in _LOW_AND_HIGH)
        checks = [
            Check.at_least("rank correlation of frequency and loss, the paper's measure", lost, 0.7, zone=0.2),
            Check.at_least("rank correlation of frequency and loss, in phase", in_phase, 0.7, zone=0.2),
            Check.at_least("rank correlation in phase, above that at shuffled places", control, 0.3, zone=0.1),
            Check.report("rank correlation in phase, shuffled places", mean_interval(shuffled)),
            Check.report(
                "rank correlation of frequency and distance moved", mean_interval(_orders(records, "even", "moved"))
            ),
        ]
        for label, part in zip(("lowest", "highest"), _LOW_AND_HIGH, strict=True):
            for measure, words in (("retained", "the paper's measure"), ("retained_in_phase", "in phase")):
                share = mean_interval(_shares(records, measure, part))
                checks.append(Check.report(f"share retained, {label} quarter of frequencies, {words}", share))
        sizes = [float(record.artifacts["deltas"][_half(record)]) for record in of_arm(records, "even")]
        left = mean_interval(_shares(records, "retained_in_phase", slice(None)))
        checks.append(Check.report("share in phase where it is judged, mean over frequencies", left))
        checks.append(Check.report("δ at which it is judged", mean_interval(sizes)))
        checks += [
            Check.report(f"final squared error, {arm} places", mean_of(records, arm, "loss"))
            for arm in ("even", "shuffled")
        ]
        checks.append(Check.report("least amplitude before, even places", mean_of(records, "even", "least_learned")))
        sentence = (
            f"Where {left.value:.0%} is left in phase on average, the lowest frequencies keep {low.value:.0%}, "
            f"the highest {high.value:.0%}."
        )
        return Verdict.of(*checks, sentence=sentence)

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """The three measures over the size of the perturbation."""
        from torchstone.studies.spectral.drawing import by_frequency

        networks = of_arm(records, "even")
        titles = ("amplitude (the paper's)", "amplitude in phase", "distance moved")
        panels = {
            title: torch.stack([record.artifacts[measure] for record in networks]).mean(0)
            for title, measure in zip(titles, MEASURES, strict=True)
        }
        drawing = by_frequency(
            panels,
            networks[0].artifacts["deltas"],
            networks[0].trial.config["frequencies"],
            xlabel="size δ of the perturbation",
            ylabel="share of the amplitude before",
        )
        caption = (
            "Mean over networks and directions, one line a frequency. On the left amplitudes above 1 are noise that "
            "passes for signal; in the middle it is averaged out. On the right, how far each coefficient moves."
        )
        return [Figure("What is left of each frequency", caption, drawing)]


_LOW_AND_HIGH = (slice(None, 2), slice(-2, None))


def _half(record: Record) -> int:
    """Which size of the perturbation leaves closest to a half, in phase, on average over frequencies."""
    return int((record.artifacts["retained_in_phase"].mean(1) - 0.5).abs().argmin())


def _at_half(record: Record, measure: str) -> Float[Tensor, " k"]:
    return record.artifacts[measure][_half(record)]


def _orders(records: Sequence[Record], arm: str, measure: str) -> list[float]:
    """The rank correlation of frequency with what is lost, or with the distance moved, of each network of an arm."""
    sign = 1 if measure == "moved" else -1
    return [
        rank_correlation(record.trial.config["frequencies"], sign * _at_half(record, measure))
        for record in of_arm(records, arm)
    ]


def _shares(records: Sequence[Record], measure: str, part: slice) -> list[float]:
    return [float(_at_half(record, measure)[part].mean()) for record in of_arm(records, "even")]
