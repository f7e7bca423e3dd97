"""On every network of the library, and of torch, the check finds live what autograd gives a gradient."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchstone import fewshot, metric, nets, probes, selfsup, spectral
from torchstone.fewshot import MAML, BaseClassifier, ProtoNet
from torchstone.fewshot.tasks import Tasks
from torchstone.metric import LOSSES, ClassSoftmax, MarginLoss, SoftTriple
from torchstone.nets import NIN, Conv4, DropBlock, ResNet12, plain, seeded, tiny10
from torchstone.programs import expectation, holes, memory
from torchstone.programs.holes import MLP, Choose, Monotone, Permutation, Poly, Threshold, hole, program
from torchstone.programs.memory import MemoryRNN, NeuralDeque, NeuralQueue, NeuralStack, SuperpositionStack, Transducer
from torchstone.selfsup.aed import Decoder
from torchstone.smoothness import Order, check
from torchstone.spectral import FourierFeatures, Siren

Case = tuple[Callable[[], nn.Module], tuple[Any, ...]]


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


EPISODES = Tasks(normal(2, 4, 1, 16, 16), torch.tensor([0, 0, 1, 1]), normal(2, 2, 1, 16, 16), torch.tensor([0, 1]))


class Seen(nn.Module):
    """What a function makes of a module and the inputs."""

    def __init__(self, module: nn.Module, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.module = module
        self.function = function

    def forward(self, *args: Any) -> Tensor:
        return self.function(self.module, *args)


def first(module: nn.Module) -> Seen:
    """The first of several results."""
    return Seen(module, lambda module, *args: module(*args)[0])


def with_holes() -> nn.Module:
    @program
    def cost(d: Tensor, price: Tensor) -> Tensor:
        return hole("area", d) * price + hole("fee", d)

    cost.holes["area"] = Poly(2)
    cost.holes["fee"] = MLP(3)
    return cost


def embedded(row: metric.Row) -> nn.Module:
    """A loss of embeddings that a layer makes."""
    both = nn.ModuleList([nn.Linear(5, 5), row.make(classes=3, dim=5, seed=0)])
    return Seen(both, lambda both, x, labels: both[1](both[0](x), labels))


LABELS = torch.tensor([0, 1, 0, 2])
WORDS = torch.tensor([[0, 1, 2], [3, 4, 0]])

OURS: dict[str, Case] = {
    "Conv4": (lambda: Conv4(4, channels=1, seed=0), (normal(2, 1, 16, 16),)),
    "ResNet12": (lambda: ResNet12(channels=1, widths=(3, 4), ramp=3, seed=0), (normal(2, 1, 16, 16),)),
    "NIN": (lambda: NIN(6, channels=1, seed=0), (normal(2, 1, 16, 16),)),
    "tiny10": (lambda: tiny10(3, channels=1, width=0.2, seed=0), (normal(2, 1, 16, 16),)),
    "plain": (
        lambda: plain([nets.Row(4), nets.Row(6, stride=2, repeat=2)], 3, channels=1, seed=0),
        (normal(2, 1, 9, 9),),
    ),
    "DropBlock": (lambda: nn.Sequential(nn.Conv2d(1, 2, 3), DropBlock(0.3, ramp=1)), (normal(2, 1, 9, 9),)),
    "Siren": (lambda: Siren(2, [8, 8], seed=0), (normal(5, 2),)),
    "FourierFeatures": (lambda: nn.Sequential(FourierFeatures(2, 4, seed=0), nn.Linear(8, 3)), (normal(5, 2),)),
    "Decoder": (lambda: Decoder(6, (1, 8, 8), 3), (normal(4, 6),)),
    "ProtoNet": (lambda: ProtoNet(Conv4(3, channels=1, seed=0)), (EPISODES,)),
    "MAML": (lambda: MAML(Conv4(3, channels=1, seed=0), 3, ways=2, inner_steps=2, seed=0), (EPISODES,)),
    "BaseClassifier": (lambda: BaseClassifier(nn.Flatten(), 4, classes="abc", seed=0), (normal(2, 1, 2, 2),)),
    "ClassSoftmax": (lambda: ClassSoftmax(3, 5, scale=4.0, margin=0.1, seed=0), (normal(4, 5), LABELS)),
    "SoftTriple": (lambda: SoftTriple(3, 5, seed=0), (normal(4, 5), LABELS)),
    "MarginLoss": (lambda: MarginLoss(classes=3, nu=0.1), (normal(4, 5), LABELS)),
    "NeuralStack": (lambda: first(memory_rnn(NeuralStack(4))), (normal(2, 5, 3),)),
    "NeuralQueue": (lambda: first(memory_rnn(NeuralQueue(4))), (normal(2, 5, 3),)),
    "NeuralDeque": (lambda: first(memory_rnn(NeuralDeque(4))), (normal(2, 5, 3),)),
    "SuperpositionStack": (lambda: first(memory_rnn(SuperpositionStack(4))), (normal(2, 5, 3),)),
    "Transducer": (lambda: Transducer(6, nn.LSTM(6, 5, batch_first=True)), (WORDS,)),
    "Poly": (lambda: Poly(3, inputs=2), (normal(5), normal(5))),
    "MLP": (lambda: MLP(6, inputs=2), (normal(5), normal(5))),
    "Monotone": (lambda: Monotone(6), (normal(5),)),
    "Threshold": (lambda: Threshold(2), (normal(5), normal(5))),
    "Choose": (
        lambda: Seen(Choose({"d": abs, "-d": abs}), lambda body, x: x * body.logits.softmax(0)[0]),
        (normal(5),),
    ),
    "Permutation": (lambda: Seen(Permutation(4), lambda body, x: x @ body.matrix()), (normal(3, 4),)),
    "Program": (with_holes, (normal(5), normal(5))),
    **{f"{name} loss": (partial(embedded, row), (normal(9, 5), LABELS.repeat(3)[:9])) for name, row in LOSSES.items()},
}


def memory_rnn(memory: Any) -> MemoryRNN:
    reads = 8 if isinstance(memory, NeuralDeque) else 4  # a deque is read at both ends
    return MemoryRNN(nn.LSTMCell(3 + reads, 6), memory, batch_first=True)


TORCHS: dict[str, Case] = {
    "Linear": (lambda: nn.Linear(4, 3), (normal(5, 4),)),
    "Bilinear": (lambda: nn.Bilinear(4, 4, 3), (normal(5, 4), normal(5, 4))),
    "Conv1d": (lambda: nn.Conv1d(4, 4, 3, groups=2, padding_mode="circular", padding=1), (normal(2, 4, 7),)),
    "Conv3d": (lambda: nn.Conv3d(1, 2, 2), (normal(1, 1, 4, 4, 4),)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2), (normal(2, 2, 4, 4),)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(3), (normal(4, 3, 2, 2),)),
    "SyncBatchNorm, evaluated": (lambda: nn.BatchNorm1d(3).eval(), (normal(4, 3),)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(3, affine=True), (normal(4, 3, 3, 3),)),
    "GroupNorm": (lambda: nn.GroupNorm(2, 4), (normal(3, 4, 5),)),
    "LayerNorm": (lambda: nn.LayerNorm(5), (normal(3, 5),)),
    "RMSNorm": (lambda: nn.RMSNorm(5), (normal(3, 5),)),
    "PReLU": (lambda: nn.PReLU(3), (normal(4, 3),)),
    "Embedding": (lambda: nn.Embedding(6, 3, padding_idx=0), (WORDS,)),
    "Embedding, renormed": (lambda: nn.Embedding(6, 3, max_norm=0.5), (WORDS,)),
    "EmbeddingBag": (lambda: nn.EmbeddingBag(6, 3), (WORDS,)),
    "LSTM": (lambda: first(nn.LSTM(3, 4, 2, bidirectional=True)), (normal(5, 2, 3),)),
    "GRU": (lambda: first(nn.GRU(3, 4, 2, dropout=0.2)), (normal(5, 2, 3),)),
    "RNN": (lambda: first(nn.RNN(3, 4, nonlinearity="relu")), (normal(5, 2, 3),)),
    "GRUCell": (lambda: nn.GRUCell(3, 4), (normal(2, 3), normal(2, 4))),
    "MultiheadAttention": (lambda: first(nn.MultiheadAttention(4, 2)), (normal(3, 2, 4),) * 3),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), (normal(2, 3, 4),)),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 8, activation="gelu"), 2, enable_nested_tensor=False
        ),
        (normal(3, 2, 4),),
    ),
    "TransformerDecoderLayer": (lambda: nn.TransformerDecoderLayer(4, 2, 8), (normal(3, 2, 4), normal(3, 2, 4))),
    "weight_norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (normal(5, 4),)),
    "spectral_norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(4, 3)), (normal(5, 4),)),
    "orthogonal": (
        lambda: nn.utils.parametrizations.orthogonal(nn.Linear(3, 3), orthogonal_map="cayley"),
        (normal(5, 3),),
    ),
    "AdaptiveLogSoftmax": (
        lambda: first(nn.AdaptiveLogSoftmaxWithLoss(8, 6, [2, 4], div_value=2)),
        (normal(4, 8), LABELS + 2),
    ),
    "frozen": (lambda: nn.Sequential(nn.Linear(4, 4).requires_grad_(False), nn.Linear(4, 2)), (normal(5, 4),)),
}
BRANCHING = ("fast_ap loss", "mined_multi_similarity loss")  # look at values: which examples have a positive?


def built(build: Callable[[], nn.Module]) -> nn.Module:
    """The network with random parameters, so that no gradient is zero for another reason than the program's."""
    with seeded(0):
        net = build()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def weigh(y: Tensor) -> Tensor:
    return (y * torch.arange(1, y.numel() + 1, dtype=y.dtype).reshape(y.shape).sin()).sum()


@pytest.mark.parametrize("name", [*OURS, *TORCHS])
def test_live_is_what_autograd_reaches(name: str) -> None:
    build, inputs = (OURS | TORCHS)[name]
    net = built(build)
    report = check(net, *inputs, loss=weigh)
    with seeded(1):
        loss = weigh(net(*inputs))
    trainable = {name: p for name, p in net.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss, list(trainable.values()), allow_unused=True)
    alive = {key for key, g in zip(trainable, gradients, strict=True) if g is not None and bool(g.count_nonzero())}
    assert set(report.live) == alive
    assert set(report.blocked) == trainable.keys() - alive
    assert report.order > Order.UNKNOWN, str(report)
    warned = {finding.code for finding in report.findings} - {"FROZEN", "UNUSED"}
    assert warned == ({"PY-BRANCH"} if name in BRANCHING else set())


def test_every_public_network_is_here() -> None:
    packages = [nets, probes, spectral, metric, fewshot, selfsup, holes, memory, expectation]
    found = [thing for package in packages for thing in map(vars(package).get, package.__all__)]
    networks = {thing for thing in found if isinstance(thing, type) and issubclass(thing, nn.Module)}
    seen = {type(module) for build, _ in OURS.values() for module in built(build).modules()}
    assert networks - seen == set()
    assert len(networks) >= 20


@pytest.mark.parametrize("name", OURS)
def test_gradients_of_the_inputs_arrive(name: str) -> None:
    build, inputs = OURS[name]
    if isinstance(inputs[0], Tensor) and inputs[0].is_floating_point():
        assert "inputs[0]" in check(built(build), *inputs, wrt="inputs", loss=weigh).live
