"""The spectrum of a ReLU network falls like |k|^-3 on the plane, and like |k|^-2 along the normals of its facets."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone.lab import Check, Claim, Context, Estimate, Figure, Outcome, Paper, Record, Study, Trial, Verdict
from torchstone.lab.statistics import mean_interval
from torchstone.nets import seeded
from torchstone.spectral import PiecewiseLinear2d, decay_exponent, relu_regions_2d
from torchstone.spectral.function import Function, function_of
from torchstone.spectral.polygons import AffinePieces, Edges
from torchstone.training import Player, fit

BOX = ([-1.25, -1.25], [1.25, 1.25])
SIDES, STEEP = 7, 4.0
FAR = (1e4, 1e6)  # where the law is fitted: |k|, in radians a unit of x
NEAR = (10.0, 1e3)  # what a picture of the network would show; reported only
PER_DECADE = 100
WITHIN = 0.15
LAWS = {"generic": "in generic directions", "normal": "along facet normals"}
EXPECTED = {"random": (-3, -2), "trained": (-3, -2), "jump": (-2, -1)}


@dataclass(frozen=True)
class Size:
    """Networks of each kind, their width, the steps of training, and directions of each kind."""

    seeds: int
    width: int
    steps: int
    directions: int


class SpectrumDecaysWithFacets(Study):
    """Exponents of the exact transform of compactly supported networks, and of a function with jumps."""

    claim = Claim(
        name="spectrum-decays-with-facets",
        sentence="The Fourier transform of a ReLU network of two inputs falls like |k|⁻³ in almost every direction, "
        "and only like |k|⁻² along the normals of its facets, whether the network is trained or not.",
        paper=Paper(
            "Rahaman, Baratin, Arpit, Draxler, Lin, Hamprecht, Bengio, Courville",
            2019,
            "On the Spectral Bias of Neural Networks",
            arxiv="1806.08734",
            where="Lemma 2 and Theorem 1",
        ),
        method=[
            "A ReLU network cuts the plane into polygons and is flat on each. Its spectrum at high frequencies is made "
            "by the creases between them, the facets. We compute all polygons of a network and from them its Fourier "
            "transform exactly, at frequencies that no grid could reach: nothing is sampled, nothing aliases.",
            "The theorem is about functions that vanish outside a bounded set; a network cut off by a box jumps at the "
            "box, and that jump would hide everything else. So each network (two hidden layers) is lowered onto a "
            "seven-sided tent, f = ReLU(min(net - c, tent)): itself a ReLU network, which is 0 at the edge of the box "
            "by itself. Random ones have He's initial weights; trained ones then learn a product of waves.",
            "Along random directions, and along the normals of the strongest facets inside, we take the largest |f̃| in "
            "each of ten windows of |k| between 10⁴ and 10⁶ and fit a straight line to the logarithms. A network's "
            "exponent is the median over its directions.",
            "Control: the same polygons, each with the constant value in its middle. This function jumps where the "
            "network bends, and its spectrum must fall one power more slowly.",
            "Decided beforehand: confirmed if all six mean exponents (random, trained and control; generic and normal) "
            "lie within 0.15 of the theory's, with their whole 95 % intervals over seeds. Exponents at |k| from 10 to "
            "1000 are reported only.",
        ],
        reported={"generic direction, d = 2": -3.0, "facet normal": -2.0},
        differs=[
            "The paper proves the rates and measures none.",
            "The control follows from the same argument; it is not in the paper.",
            "|k| from 10⁴ to 10⁶ is far beyond what data of any grid could show: the law is asymptotic, since a facet "
            "of length L looks straight on within an angle of 1/(L|k|).",
        ],
    )
    scales = {  # noqa: RUF012
        "smoke": Size(seeds=1, width=4, steps=2, directions=3),
        "laptop": Size(seeds=8, width=16, steps=1000, directions=15),
        "paper": Size(seeds=30, width=64, steps=5000, directions=31),
    }

    def trials(self, scale: Size) -> Sequence[Trial]:
        """Each kind of function with every seed."""
        config = {"width": scale.width, "directions": scale.directions}
        return [
            Trial(arm, seed, config | {"steps": scale.steps if arm == "trained" else 0})
            for arm in EXPECTED
            for seed in range(scale.seeds)
        ]

    def run(self, trial: Trial, context: Context) -> Outcome:
        """Exponents far out and near, generic and along normals."""
        generator = torch.Generator().manual_seed(trial.seed)
        network = _network(trial, context).to(context.device)
        pieces = relu_regions_2d(network, BOX)
        generic = _random_directions(trial.config["directions"], generator).to(context.device)
        normals = _strongest_normals(function_of(network, [2]), pieces, trial.config["directions"])
        metrics, artifacts = {"regions": float(pieces.regions)}, dict[str, Tensor]()
        for name, directions in (("generic", generic), ("normal", normals)):
            k, heights = _heights(trial.arm, pieces, directions, generator)
            metrics |= {name: _exponent(k, heights, FAR), f"{name}-near": _exponent(k, heights, NEAR)}
            artifacts |= {f"{name}-k": k, f"{name}-height": heights.median(0).values}
            context.progress(0.5 + 0.5 * len(artifacts) / 4, f"{pieces.regions} regions")
        return Outcome(metrics, artifacts)

    def judge(self, records: Sequence[Record]) -> Verdict:
        """All six mean exponents within 0.15 of the theory's."""
        checks, far = [], {}
        for arm, exponents in EXPECTED.items():
            for law, expected in zip(LAWS, exponents, strict=True):
                far[arm, law] = _mean(records, arm, law)
                paper = None if arm == "jump" else float(expected)
                name = f"exponent {LAWS[law]}, {_words(arm)}"
                checks.append(Check.near(name, far[arm, law], expected, within=WITHIN, reported=paper))
        for arm in EXPECTED:
            for law in LAWS:
                name = f"exponent {LAWS[law]}, |k| from 10 to 1000, {_words(arm)}"
                checks.append(Check.report(name, _mean(records, arm, f"{law}-near")))
            checks.append(Check.report(f"linear regions, {_words(arm)}", _mean(records, arm, "regions")))
        trained = [far["trained", law].value for law in LAWS]
        sentence = (
            f"Trained networks fall like |k|^{trained[0]:.2f} in generic directions and like |k|^{trained[1]:.2f} "
            "along facet normals."
        )
        return Verdict.of(*checks, sentence=sentence)

    def figures(self, records: Sequence[Record]) -> Sequence[Figure]:
        """The spectra of one network of each kind, and all exponents."""
        from torchstone.studies.spectral.facet_drawing import exponents, spectra

        first = {arm: next(r for r in records if r.trial.arm == arm and not r.diverged) for arm in _arms(records)}
        panels = {
            _words(arm): {LAWS[law]: (record.artifacts[f"{law}-k"], record.artifacts[f"{law}-height"]) for law in LAWS}
            for arm, record in first.items()
        }
        rows = [
            (f"{_words(arm)}, {LAWS[law]}", _mean(records, arm, law), expected)
            for arm in first
            for law, expected in zip(LAWS, EXPECTED[arm], strict=True)
        ]
        return [
            Figure(
                "How the spectrum falls",
                "One network of each kind: the exact amplitude |f̃| over |k|, median over directions, and the slopes "
                "that theory gives. Grey: where the exponents are fitted.",
                spectra(panels, {_words(arm): EXPECTED[arm] for arm in first}, FAR),
            ),
            Figure(
                "Exponents",
                "Mean over networks with 95 % intervals; diamonds are what theory says.",
                exponents(rows),
            ),
        ]


class Tent(nn.Module):
    """ReLU(min(net - floor, steep · (1 - ρ))), with ρ = 1 on the sides of a regular polygon around the unit circle.

    Args:
        net: any network of two inputs.
        floor: what is taken from it.
        steep: the slope of the tent's walls.
        turn: the polygon is turned by so much, in radians.
    """

    def __init__(self, net: nn.Module, floor: float, steep: float, turn: float) -> None:
        super().__init__()
        self.net, self.floor, self.steep = net, floor, steep
        angles = turn + 2 * math.pi * torch.arange(SIDES) / SIDES
        self.register_buffer("walls", torch.stack([angles.cos(), angles.sin()], 1))

    def forward(self, x: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
        """The height at each point."""
        walls = self.steep * (1 - x @ self.get_buffer("walls").T)
        return torch.relu(reduce(torch.minimum, walls.unbind(1), self.net(x)[:, 0] - self.floor))


def _network(trial: Trial, context: Context) -> Tent:
    """A network from He's initial weights, trained for as many steps as the trial says, on its tent."""
    with seeded(trial.seed):
        net = _mlp(trial.config["width"])
        turn = float(torch.rand(()))
    if trial.config["steps"]:
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
        player = Player(net, lambda batch: (net(batch[0]) - batch[1]).square().mean(), optimizer)
        batches = _waves(trial.seed, trial.config["steps"])
        fit(player, batches, steps=trial.config["steps"], checkpoint=context.scratch, progress=context.progress)
    line = torch.linspace(-1, 1, 65)
    with torch.no_grad():
        heights = net(torch.cartesian_prod(line, line))
    span = float(heights.max() - heights.min())
    return Tent(net, float(heights.min()) - 0.1 * span, STEEP * span, turn)


def _mlp(width: int) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
    for layer in net:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.normal_(layer.bias, std=0.3)
    return net


def _waves(seed: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """What the trained networks learn: sin(3x₁ + ...) · cos(4x₂ + ...) with phases from the seed."""
    generator = torch.Generator().manual_seed(seed)
    phases = 2 * math.pi * torch.rand(2, generator=generator)
    for _ in range(steps):
        x = 2 * torch.rand(256, 2, generator=generator) - 1
        yield x, (torch.sin(3 * x[:, :1] + phases[0]) * torch.cos(4 * x[:, 1:] + phases[1]))


def _random_directions(count: int, generator: torch.Generator) -> Float[Tensor, "m 2"]:
    angles = math.pi * torch.rand(count, generator=generator, dtype=torch.float64)
    return torch.stack([angles.cos(), angles.sin()], 1)


def _strongest_normals(function: Function, pieces: PiecewiseLinear2d, count: int) -> Float[Tensor, "m 2"]:
    """Normals of the facets within |x| < 0.7 that bend most: length times the jump of the gradient across."""
    edges = Edges.around(pieces.vertices)
    middles, lengths = (edges.start + edges.end) / 2, edges.vector.norm(dim=1)
    edges = edges.only((middles.norm(dim=1) < 0.7) & (lengths > 1e-3))
    middles, lengths = (edges.start + edges.end) / 2, edges.vector.norm(dim=1)
    normals = edges.normal / lengths[:, None]
    across = function.gradients(middles + 1e-7 * normals)
    strength = (across - pieces.weights[edges.piece]).norm(dim=1) * lengths
    chosen: list[Tensor] = []
    for normal in normals[strength.argsort(descending=True)]:
        if all(abs(float(normal @ other)) < 1 - 1e-9 for other in chosen):
            chosen.append(normal)
        if len(chosen) == count:
            break
    return torch.stack(chosen)


def _heights(
    arm: str, pieces: PiecewiseLinear2d, directions: Float[Tensor, "m 2"], generator: torch.Generator
) -> tuple[Float[Tensor, " n"], Float[Tensor, "m n"]]:
    """|f̃| along directions, at magnitudes drawn evenly on a logarithmic axis from 1 to 10⁶."""
    top = math.log10(FAR[1])
    k = 10 ** (top * torch.rand(int(top * PER_DECADE), generator=generator, dtype=torch.float64).sort().values)
    k = k.to(directions.device)
    grid = (k[:, None] * directions[:, None]).flatten(0, 1)
    if arm == "jump":
        middles = pieces.vertices.mean(1)
        flat = (pieces.weights * middles).sum(1) + pieces.offsets
        steps = AffinePieces(pieces.vertices, torch.zeros_like(pieces.weights), flat)
        values = steps.fourier(grid, outline=Edges.around(pieces.vertices))
    else:
        values = pieces.fourier(grid)
    return k.cpu(), values.abs().view(len(directions), -1).cpu()


def _exponent(k: Float[Tensor, " n"], heights: Float[Tensor, "m n"], span: tuple[float, float]) -> float:
    """The median over directions of the exponent fitted to the envelope."""
    inside = (k >= span[0]) & (k <= span[1])
    fitted = [decay_exponent(k[inside], height[inside]) for height in heights]
    return float(torch.tensor(fitted).median())


def _mean(records: Sequence[Record], arm: str, metric: str) -> Estimate:
    return mean_interval([record.metrics[metric] for record in records if record.trial.arm == arm])


def _arms(records: Sequence[Record]) -> list[str]:
    return [arm for arm in EXPECTED if any(r.trial.arm == arm and not r.diverged for r in records)]


def _words(arm: str) -> str:
    return {"random": "random networks", "trained": "trained networks", "jump": "control with jumps"}[arm]
