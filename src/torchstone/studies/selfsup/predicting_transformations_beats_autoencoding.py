"""Whether predicting transformations teaches a network more than reconstructing pictures does."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from torchstone.lab import Check, Claim, Context, Figure, Outcome, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, power
from torchstone.studies.selfsup.papers import aet
from torchstone.studies.selfsup.picture_sets import Split
from torchstone.studies.selfsup.pretraining import (
    AFFINE,
    DENOISING,
    LAST,
    LINEAR,
    MIDDLE,
    NEAREST,
    PIXELS,
    PROJECTIVE,
    RANDOM,
    ROTNET,
    SUPERVISED,
    Budget,
    Size,
    planned,
    pretrained_outcome,
)
from torchstone.studies.selfsup.scores import arms_of, leads, mean, of_arm, points_ahead

JUDGED = (RANDOM, PIXELS, AFFINE)
FURTHER = (ROTNET, DENOISING, PROJECTIVE, SUPERVISED)
AHEAD, NO_LEAD = 1.0, 0.5  # points of test accuracy
LEARNED, NOT_LEARNED = 0.25, 0.1  # of what guessing the mean transformation costs
PROBES = {LINEAR: "linear probe", NEAREST: "neighbours"}
PANELS = {
    f"{MIDDLE}/{LINEAR}": "block 2: linear probe, few labels",
    f"{MIDDLE}/{NEAREST}": "block 2: nearest neighbours",
    f"{LAST}/{LINEAR}": "last layer: linear probe, few labels",
}
HOPED = 3.0  # points
PILOT_SD = {(RANDOM, LINEAR): 1.6, (RANDOM, NEAREST): 1.6, (PIXELS, LINEAR): 0.8, (PIXELS, NEAREST): 1.2}
LEARNS = "AET's task: share of variance explained"


class PredictingTransformations(Study):
    """AET against an auto-encoder and random weights, RotNet beside them, under one budget."""

    claim = Claim(
        name="predicting-transformations-beats-autoencoding",
        sentence="With the same number of pictures through the network, the middle layer of an encoder that predicts "
        "affine transformations classifies photographs of clothes at least 1 point better than that of an "
        "auto-encoder and than random weights do, by a linear probe with ten labels a class and by nearest neighbours.",
        paper=aet("section 5.1"),
        method=[
            "An auto-encoder (AED) learns a representation without labels by reconstructing each picture from it. The "
            "paper proposes to reconstruct what was done to the picture instead (AET): the network sees it before and "
            "after a random turn, shift, zoom and shear, and tells their size. To do so its features must know what is "
            "where; to paint pixels they need not.",
            "The encoder is the paper's network in network, 24 channels wide, on the 54,000 pictures of Fashion-MNIST, "
            "shrunk to 14×14 pixels. All methods start from the same weights, and the same number of pictures goes "
            "through the encoder: 128 in each of as many steps. AET shows it 64 pictures twice, RotNet 32 in four "
            "turns, and the auto-encoder gets 128 different ones. For the same work, then, AED sees twice as many "
            "different pictures as AET.",
            "Then the encoder is frozen, and probes look at its second block, the layer that the paper probes: "
            "logistic regression on ten labelled pictures a class, averaged over ten draws of these, and the vote of "
            "the 10 nearest of 6,000 labelled pictures by cosine. Labelled pictures (none was learned from), draws and "
            "4,000 test pictures change with the seed and are the same for all methods of a seed. Untrained networks "
            "differ much among each other, so random weights stand for the mean of four.",
            "Confirmed if AET leads random weights and AED, by both probes, with 95 % t intervals over seeds of the "
            "paired differences above 1 point, and if it has learned its task: the mean squared error of the six "
            "numbers is at least 25 % below that of guessing their mean (0.39). An interval within ±0.5 points counts "
            "as no difference. These numbers were set after pilots with other seeds. The last layer, RotNet, a "
            "denoising auto-encoder, projective transformations and an encoder trained with all labels are shown and "
            "decide nothing. RotNet and what follows it have two seeds at laptop scale: their intervals are wide "
            "because two say little of the spread, not because they differ much.",
        ],
        differs=[
            "Fashion-MNIST on 14×14 pixels instead of CIFAR-10, a network of an eighth of the width (which makes the "
            "second block's features 384 instead of 12,288), and 1,000 steps instead of 146,000.",
            "In pilots of one seed and 400 steps the order was another on other pictures: on handwritten digits of 8×8 "
            "pixels the auto-encoder was ahead of AET by both probes; on printed characters AET was ahead by both, but "
            "by nearest neighbours random weights were ahead of it. The claim is judged on the pictures that are "
            "nearest to the paper's.",
            "Equal budgets of pictures through the encoder; the paper does not say what its auto-encoders had. The "
            "decoder of ours, three transposed convolutions, comes on top. Learning rates are 0.3 for AET and RotNet "
            "and 0.1 for auto-encoders, for each kind the best of 0.03, 0.1 and 0.3 in a pilot of one other seed, by "
            "the probes' accuracy. Pictures are flipped at random, not cropped.",
            "Probes are a logistic regression on a few labels and nearest neighbours; the paper trains classifiers of "
            "several layers on all labels and reports the best epoch on the test pictures. The scale 'paper' keeps "
            "10,000 labelled pictures of CIFAR-10 apart for the probes.",
        ],
    )
    compares: ClassVar[Sequence[str]] = JUDGED
    scales: ClassVar[Mapping[str, Size]] = {
        "smoke": Size(Split("glyphs", 16, 12, 120, 32), Budget(6, 16, 2, "cosine", 2, 1), 1, 1),
        "laptop": Size(Split("fashion_mnist", 10, 14, 6000, 4000), Budget(24, 128, 1000, "cosine", 10, 10), 7, 2),
        "paper": Size(Split("cifar10", 10, 32, 10_000, 10_000), Budget(192, 1024, 117_000, "paper", 10, 10, 0.1), 3, 3),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """The arms that decide with every seed, then the further ones with fewer."""
        return [planned(arm, seed, scale.split, scale.budget) for arm, seed in scale.arms(JUDGED, FURTHER)]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Train one encoder, or none, and probe it."""
        return pretrained_outcome(trial.arm, trial, context)

    def judge(self, records: Sequence[Record]) -> Verdict:
        """AET at least 1 point ahead of random weights and of AED by both probes, and its task learned."""
        ahead = {
            _lead(rival, probe): points_ahead(records, AFFINE, rival, f"{MIDDLE}/{probe}")
            for rival in (RANDOM, PIXELS)
            for probe in PROBES
        }
        learned = mean_interval(1 - of_arm(records, AFFINE, "error"))
        checks = [Check.at_least(name, lead, AHEAD, zone=NO_LEAD) for name, lead in ahead.items()]
        checks.append(Check.at_least(LEARNS, learned, LEARNED, zone=NOT_LEARNED))
        checks += _reported(records)
        return Verdict.of(*checks, sentence=_sentence(records))

    def power(self, scale: Size) -> Mapping[str, float]:
        """Were all leads 3 points, and as variable as in the pilots (three seeds of block 1; they found 3.0 to 4.4).

        Of other scales nothing is known.
        """
        if scale != self.scales["laptop"]:
            return {}
        return {_lead(*pair): power(HOPED, sd, scale.seeds, threshold=AHEAD) for pair, sd in PILOT_SD.items()}

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """By how much AET leads each of the others, and what the features are worth, in both layers."""
        from torchstone.studies.selfsup.drawing import leads as drawn_leads
        from torchstone.studies.selfsup.drawing import worth

        arms = sorted(arms_of(records), key=lambda arm: mean(records, arm, f"{MIDDLE}/{LINEAR}").value, reverse=True)
        ahead = {
            title: {arm: leads(records, AFFINE, arm, metric) for arm in arms if arm != AFFINE}
            for metric, title in PANELS.items()
        }
        values = {title: {arm: of_arm(records, arm, metric) for arm in arms} for metric, title in PANELS.items()}
        return [
            Figure(
                "AET's lead over each of the others",
                "Test accuracy of probes on AET's features minus that on the other's: a small mark a seed, and the "
                "mean with its 95 % interval (none for two seeds). The claim asks for the dashed line or more, over "
                "AED and random weights in the first two panels. In the last layer, which is nearest to the task, the "
                "order is another.",
                drawn_leads(ahead, threshold=AHEAD, xlabel="points of test accuracy"),
            ),
            Figure(
                "What the features are worth",
                "The accuracies themselves: a small mark a seed, and their mean. Seeds differ in their labelled "
                "pictures, too, which are the same for all methods.",
                worth(values, ours=AFFINE, xlabel="test accuracy (%)"),
            ),
        ]


def _lead(rival: str, probe: str) -> str:
    return f"AET over {rival}, {PROBES[probe]}, points"


def _reported(records: Sequence[Record]) -> list[Check]:
    """RotNet, the last layer, the further arms and the tasks' own errors."""
    checks = []
    for probe, name in PROBES.items():
        ahead = points_ahead(records, AFFINE, ROTNET, f"{MIDDLE}/{probe}")
        last = points_ahead(records, AFFINE, PIXELS, f"{LAST}/{probe}")
        checks.append(Check.report(_lead(ROTNET, probe), ahead))
        checks.append(Check.report(f"last layer: AET over {PIXELS}, {name}", last))
    for arm in arms_of(records):
        for probe, name in PROBES.items():
            checks.append(Check.report(f"{arm}: {name}, %", mean(records, arm, f"{MIDDLE}/{probe}")))
    checks.append(Check.report("AET's task: mean squared error", mean(records, AFFINE, "squared_error")))
    return checks


def _sentence(records: Sequence[Record]) -> str:
    """How far ahead, by both probes."""
    linear, random_linear, nearest, random_nearest = (
        f"{points_ahead(records, AFFINE, rival, f'{MIDDLE}/{probe}').value:+.1f}"
        for probe in PROBES
        for rival in (PIXELS, RANDOM)
    )
    return (
        f"AET's lead is {linear} points over the auto-encoder and {random_linear} over random weights by a linear "
        f"probe on few labels, {nearest} and {random_nearest} by nearest neighbours."
    )
