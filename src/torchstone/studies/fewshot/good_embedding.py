"""Whether an embedding learned by plain classification does better on few examples than learning to learn does."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from torchstone.data import ImageSet
from torchstone.fewshot import Episodes
from torchstone.lab import Check, Claim, Context, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval, power
from torchstone.studies.fewshot.learners import METHODS, Plan, Test
from torchstone.studies.fewshot.outcomes import SHOTS, Results, chosen
from torchstone.studies.fewshot.pictures import PICTURES, FewShotPictures

OURS, RIVALS, CONTROLS = "embedding", ("protonet", "maml"), ("untrained", "pixels")
RATES: Mapping[str, Sequence[float]] = {
    OURS: (0.2, 0.1, 0.4),
    "protonet": (0.02, 0.01, 0.04),
    "maml": (0.003, 0.001, 0.01),
}
AHEAD, NO_DIFFERENCE = 1.0, 0.5  # points
HOPED, PILOT_SD = 2.0, 0.7  # points
LEARNED, NOT_LEARNED = 30.0, 10.0  # points above an untrained network


@dataclass(frozen=True)
class Size:
    """Which pictures, how long all methods train, and how they are tested.

    Args:
        pictures: a key of ``PICTURES`` and the side in pixels, for each data set.
        network: as in :class:`Plan`, like width, pictures_seen, ways, queries and batch.
        rates: how many learning rates each method tries for a seed.
        seeds: of the comparison with prototypical networks.
        maml_seeds: the first of these, with which MAML is trained, too.
        episodes: novel episodes of each number of shots.
        maml_episodes: the first of these, which MAML is tested on.
    """

    pictures: tuple[tuple[str, int], ...]
    network: str
    width: int
    pictures_seen: int
    ways: int
    queries: int
    batch: int
    rates: int
    seeds: int
    maml_seeds: int
    episodes: int
    maml_episodes: int


class GoodEmbedding(Study):
    """Plain classification against prototypical networks and MAML, tuned alike, on as many pictures."""

    claim = Claim(
        name="a-good-embedding-is-all-you-need",
        sentence="An embedding trained by plain classification, with a logistic regression on the few examples, "
        "classifies novel characters, 20 at a time, at least 1 point better than prototypical networks and MAML that "
        "were shown as many pictures and tuned alike, from 1 example of each and from 5.",
        paper=Paper(
            "Tian, Wang, Krishnan, Tenenbaum, Isola",
            2020,
            "Rethinking Few-Shot Image Classification: a Good Embedding Is All You Need?",
            arxiv="2003.11539",
            where="section 4",
        ),
        method=[
            "Few-shot classification asks a network to tell apart classes that it was never trained on, from one or a "
            "few examples of each. Methods that learn to learn train on many small problems of that kind, called "
            "episodes. The paper holds that one need not: train the network to tell all base classes apart, drop its "
            "last layer, and fit a simple classifier to the features of the few examples.",
            "Data: printed characters in twelve typefaces, turned, shifted, sheared and noisy, and, where it is on "
            "this machine, handwriting of eight alphabets (Omniglot). A seed draws which classes (for handwriting: "
            "alphabets) are for training, which for choosing learning rates, and which are novel. A test episode has "
            "20 novel classes, 1 or 5 examples of each, and 5 further pictures of each to be told. All methods get "
            "the same episodes.",
            "All methods train a network of four convolutions from the same initial weights on as many pictures "
            "(96,000, each picture some ten times), with the same changes of the pictures, by a rate that rises and "
            "falls. Plain classification uses gradient descent with momentum, the others Adam, as in their papers. "
            "What the methods leave open was searched in pilots with other seeds, on classes that the pilot's networks "
            "were not trained on, for each method in the same way: learning rates (0.05 to 0.4 for plain "
            "classification, 0.001 to 0.04 for prototypical networks, 0.001 to 0.01 for MAML) and three sizes of a "
            "step (batches of 32; episodes of 2 questions a class for prototypical networks, 5 for MAML). Rivals "
            "train on one-shot episodes, which served prototypical networks better than five-shot ones, with five "
            "examples too.",
            "How long all train decides who is ahead. In pilots with 32,000 pictures prototypical networks led by 2 "
            "to 5 points; with 96,000 the embedding led by about 1, since it gains more from further training. The "
            "paper trains on millions of pictures, so we train for as long as a quarter of an hour allows. The "
            "power that is declared is for a lead of 2 points; were it the 1 point of the pilots, the rule would "
            "confirm in one of forty runs.",
            "Confirmed if, with 1 example and with 5, the embedding is at least 1 point ahead of prototypical networks "
            "and of MAML, and with 1 example at least 30 points ahead of an untrained network: each of these five "
            "95 % t intervals over seeds must lie above its threshold. A lead within ±0.5 points counts as none. A "
            "lead is that in accuracy over the same episodes, averaged over the data sets. MAML costs several times "
            "as much and pilots saw it tens of points behind, so it is trained with the first seeds only. A training "
            "that diverged counts as guessing. All numbers were set before the judged seeds were run.",
        ],
        reported={
            "Conv4-64, miniImageNet, 5-way 1-shot, %": 55.25,
            "Conv4-64, miniImageNet, 5-way 5-shot, %": 71.56,
            "ResNet-12, miniImageNet, 5-way 1-shot, %": 62.02,
            "ResNet-12, miniImageNet, 5-way 5-shot, %": 79.64,
        },
        differs=[
            "Characters instead of photographs, 20 ways instead of 5, and a network of four convolutions of 32 "
            "channels on pictures of 16×16 pixels, trained for half a minute instead of hours.",
            "MAML is meant for far longer training. With as many pictures as the others get it has hardly begun to "
            "learn, so its rows say little of what it can do.",
            "To decide, with the spread that six seeds showed, would take 32 seeds at one shot and 10 at five for a "
            "lead of 1.5 points over prototypical networks, with a chance of 80 %. A lead of 1 point, about what they "
            "showed, lies on the threshold, and no number of seeds decides.",
            "The paper compares with what other papers report; here all methods have the same network, pictures and "
            "search.",
            "The interval is over seeds (classes, initial weights, batches). That of the paper is over episodes of one "
            "network.",
            "No self-distillation, and no changed copies of the examples.",
            "Logistic regression with C = 10 instead of 1, fixed beforehand: at C = 1 it is shrunk too much by so few "
            "examples.",
            "Prototypical networks train on small episodes (1 example and 2 questions a class), which served them "
            "better than larger ones. MAML is of first order, and normalises by the support, so that questions don't "
            "help one another.",
            "The scale 'paper' trains ResNet-12 on miniImageNet and CIFAR-FS, 5 ways, as here, but tries three "
            "learning rates of each method for each seed: validation classes choose.",
        ],
    )
    compares: ClassVar[Sequence[str]] = (OURS, "protonet")
    scales: ClassVar[Mapping[str, Size]] = {
        "smoke": Size((("glyphs", 16),), "conv4", 4, 240, 5, 2, 32, 1, 1, 1, 3, 2),
        "laptop": Size((("glyphs", 16), ("omniglot", 16)), "conv4", 32, 96_000, 20, 2, 32, 1, 6, 3, 400, 50),
        "paper": Size(
            (("mini_imagenet", 84), ("cifar_fs", 32)), "resnet12", 64, 3_840_000, 5, 15, 64, 3, 5, 5, 600, 600
        ),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """A network each for a data set, a seed, a method and a learning rate; what costs most comes last."""
        return [
            Trial(arm, seed, trial_config(scale, arm, rate, pictures, side))
            for arms, seeds in (((*CONTROLS, OURS, "protonet"), scale.seeds), (("maml",), scale.maml_seeds))
            for seed in range(seeds)
            for arm in arms
            for pictures, side in scale.pictures
            for rate in RATES.get(arm, (1.0,))[: scale.rates]
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Train one network, and test it on validation and novel classes."""
        plan = Plan(**trial.config["plan"])
        pictures = PICTURES[trial.config["pictures"]](trial.seed, trial.config["side"])
        return outcome_of(METHODS[trial.arm](plan, pictures, trial.seed, context), trial, pictures)

    def judge(self, records: Sequence[Record]) -> Verdict:
        """At least 1 point ahead of either rival, with 1 example and with 5; and 30 above an untrained network."""
        results = chosen(records)
        checks = []
        for shots in SHOTS:
            for rival in RIVALS:
                lead = mean_interval(results.mean_lead(OURS, rival, shots))
                checks.append(Check.at_least(lead_name(rival, shots), lead, AHEAD, zone=NO_DIFFERENCE))
        learned = mean_interval(results.mean_lead(OURS, "untrained", 1))
        checks.append(Check.at_least(lead_name("untrained", 1), learned, LEARNED, zone=NOT_LEARNED))
        close = {shots: checks[i].estimate for shots, i in ((1, 0), (5, 2))}
        sentence = "At equal pictures and tuning the embedding's lead over prototypical networks is " + " and ".join(
            f"{lead.value:+.1f} points ({lead.low:+.1f} to {lead.high:+.1f}) from {shots} example{'s' * (shots > 1)}"
            for shots, lead in close.items()
        )
        return Verdict.of(*checks, *details(results), sentence=f"{sentence}.")

    def power(self, scale: Size) -> Mapping[str, float]:
        """For leads over prototypical networks of twice the threshold, and the spread between seeds of a pilot."""
        if scale != self.scales["laptop"]:
            return {}
        chance = power(HOPED, PILOT_SD, scale.seeds, threshold=AHEAD)
        return {lead_name("protonet", shots): chance for shots in SHOTS}

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """Accuracies, leads, and whether the learning rates were the right ones."""
        from torchstone.studies.fewshot.drawing import accuracies, leads, rates

        results = chosen(records)
        ways = records[0].trial.config["plan"]["ways"]
        rows = {}
        for shots in SHOTS:
            rows[f"{shots}-shot, mean"] = results.mean_lead(OURS, "protonet", shots).tolist()
            for pictures in results.pictures:
                rows[f"{shots}-shot, {pictures}"] = results.leads(OURS, "protonet", shots, pictures).tolist()
        figures = [
            Figure(
                "Accuracy on novel classes",
                f"Episodes of {ways} novel classes, the same for all methods: seed by seed (small marks), and the mean "
                "with its 95 % interval. The dotted line is guessing. 'embedding' is plain classification with a "
                "logistic regression on the examples; 'untrained' and 'pixels' have that regression, too.",
                accuracies(results, chance=100 / ways),
            ),
            Figure(
                "The embedding against prototypical networks",
                "Difference in accuracy over the same episodes, seed by seed (small marks), and the mean with its 95 % "
                "interval. The claim asks for the dashed line or more in the rows called mean; within the grey band "
                "counts as no lead.",
                leads(rows, threshold=AHEAD, zone=NO_DIFFERENCE, xlabel="embedding ahead (points)"),
            ),
        ]
        if results.searched:
            caption = "Mean accuracy in one-shot episodes of validation classes. For each seed the best rate is taken."
            figures.append(Figure("The learning rates that were tried", caption, rates(results, (OURS, *RIVALS))))
        return figures


def trial_config(scale: Size, arm: str, rate: float, pictures: str, side: int) -> dict[str, Any]:
    """The config of a trial; MAML has five questions a class, which it needs more than it needs steps."""
    queries, episodes = scale.queries, scale.episodes
    if arm == "maml":
        queries, episodes = max(5, scale.queries), scale.maml_episodes
    plan = Plan(scale.network, scale.width, scale.pictures_seen, scale.ways, queries, scale.batch, rate)
    control = {"control": True} if arm in CONTROLS else {}
    return {"pictures": pictures, "side": side, "episodes": episodes, "plan": asdict(plan), **control}


def outcome_of(test: Test, trial: Trial, pictures: FewShotPictures) -> Outcome:
    """Accuracies in one-shot episodes of validation classes, and in each novel episode by its number of shots."""

    def scores(part: ImageSet, shots: int) -> Float[Tensor, " episodes"]:
        ways, count = trial.config["plan"]["ways"], trial.config["episodes"]
        return 100 * test(part, Episodes(part.labels, ways, shots, 5, count=count, seed=trial.seed)).cpu()

    novel = {f"{shots}-shot": scores(pictures.novel, shots) for shots in SHOTS}
    means = {name: float(accuracies.mean()) for name, accuracies in novel.items()}
    return Outcome({"validation": float(scores(pictures.validation, 1).mean()), **means}, novel)


def lead_name(rival: str, shots: int) -> str:
    """The words of a lead."""
    return f"{shots}-shot: ahead of {rival}, points"


def details(results: Results) -> list[Check]:
    """What decides nothing: leads on each data set, accuracies, and rates at an edge of what was tried."""
    checks = []
    for pictures in results.pictures:
        for shots in SHOTS:
            for rival in (*RIVALS, *CONTROLS):
                lead = mean_interval(results.leads(OURS, rival, shots, pictures))
                checks.append(Check.report(f"{pictures}, {lead_name(rival, shots)}", lead))
            for arm in (OURS, *RIVALS, *CONTROLS):
                accuracy = mean_interval(results.accuracies(arm, shots, pictures))
                checks.append(Check.report(f"{pictures}, {shots}-shot: {arm}, %", accuracy))
    for arm in (OURS, *RIVALS) if results.searched else ():
        edges = mean_interval(results.at_edge(arm))
        checks.append(Check.report(f"{arm}: best rate at an edge of those tried, share", edges))
    return checks
