"""Small correct training programs with several heads, experts, equations, policies, graphs, or a step inside."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchstone.studies.smoothness.program import Gate, Program, labels, modules


def two_heads() -> Program:
    """A kind and a place from one trunk."""
    net = modules(trunk=nn.Linear(6, 10), kind=nn.Linear(10, 3), place=nn.Linear(10, 2))
    x, kinds, places = torch.randn(16, 6), labels(16, 3), torch.randn(16, 2)

    def loss(gate: Gate) -> Tensor:
        shared = F.relu(gate(net["trunk"], x))
        classified = gate(F.cross_entropy, gate(net["kind"], shared), kinds)
        return classified + gate(F.smooth_l1_loss, gate(net["place"], shared), places)

    return Program(net, loss)


def mixture_of_experts() -> Program:
    """Three experts, softly routed."""
    net = modules(router=nn.Linear(5, 3), one=nn.Linear(5, 4), two=nn.Linear(5, 4), three=nn.Linear(5, 4))
    x, y = torch.randn(16, 5), labels(16, 4)

    def loss(gate: Gate) -> Tensor:
        weights = gate(torch.softmax, gate(net["router"], x), -1)
        answers = torch.stack([gate(net[name], x) for name in ("one", "two", "three")], 1)
        return F.cross_entropy((weights.unsqueeze(-1) * answers).sum(1), y)

    return Program(net, loss)


def mixture_density() -> Program:
    """The likelihood of a mixture of Gaussians."""
    net = modules(body=nn.Linear(3, 8), weight=nn.Linear(8, 2), mean=nn.Linear(8, 2), spread=nn.Linear(8, 2))
    x, y = torch.randn(16, 3), torch.randn(16, 1)

    def loss(gate: Gate) -> Tensor:
        hidden = gate(torch.tanh, gate(net["body"], x))
        mean, spread = gate(net["mean"], hidden), F.softplus(gate(net["spread"], hidden)) + 0.1
        density = torch.distributions.Normal(mean, spread).log_prob(y)  # type: ignore[no-untyped-call]
        return -torch.logsumexp(density + F.log_softmax(gate(net["weight"], hidden), -1), -1).mean()

    return Program(net, loss)


def heat_equation() -> Program:
    """A network that solves it, by divided differences."""
    net = modules(first=nn.Linear(2, 10), second=nn.Linear(10, 10), last=nn.Linear(10, 1))
    points, start = torch.rand(12, 2), torch.rand(8, 2) * torch.tensor([1.0, 0.0])

    def field(gate: Gate, at: Tensor) -> Tensor:
        return gate(net["last"], torch.tanh(gate(net["second"], torch.tanh(gate(net["first"], at)))))

    def loss(gate: Gate) -> Tensor:
        h = 0.1
        dx, dt = torch.tensor([h, 0.0]), torch.tensor([0.0, h])
        bend = (field(gate, points + dx) - 2 * field(gate, points) + field(gate, points - dx)) / h**2
        change = (field(gate, points + dt) - field(gate, points)) / h
        return (change - bend).square().mean() + (field(gate, start)[:, 0] - start[:, 0].sin()).square().mean()

    return Program(net, loss)


def policy_gradient() -> Program:
    """An actor with a critic, whose values are a baseline."""
    net = modules(body=nn.Linear(4, 8), policy=nn.Linear(8, 3), value=nn.Linear(8, 1))
    states, actions, returns = torch.randn(20, 4), labels(20, 3), torch.randn(20)

    def loss(gate: Gate) -> Tensor:
        hidden = gate(torch.tanh, gate(net["body"], states))
        values = gate(net["value"], hidden).squeeze(1)
        chosen = F.log_softmax(gate(net["policy"], hidden), 1).gather(1, actions[:, None]).squeeze(1)
        return -(chosen * (returns - values.detach())).mean() + F.mse_loss(values, returns)

    return Program(net, loss)


def q_learning() -> Program:
    """With a frozen target network."""
    net = modules(body=nn.Linear(4, 8), head=nn.Linear(8, 3))
    target = nn.Linear(4, 3).requires_grad_(False)
    states, following, actions, rewards = torch.randn(16, 4), torch.randn(16, 4), labels(16, 3), torch.randn(16)

    def loss(gate: Gate) -> Tensor:
        values = gate(net["head"], F.relu(gate(net["body"], states))).gather(1, actions[:, None]).squeeze(1)
        with torch.no_grad():
            goal = rewards + 0.9 * target(following).amax(1)
        return gate(F.huber_loss, values, goal)

    return Program(net, loss)


def graph_network() -> Program:
    """Two rounds of messages."""
    net = modules(first=nn.Linear(4, 8), second=nn.Linear(8, 8), head=nn.Linear(8, 3))
    nodes, edges, y = torch.randn(12, 4), (torch.rand(12, 12) < 0.3).float(), labels(12, 3)
    average = (edges + torch.eye(12)) / (edges.sum(1, keepdim=True) + 1)

    def loss(gate: Gate) -> Tensor:
        hidden = F.relu(gate(torch.matmul, average, gate(net["first"], nodes)))
        hidden = F.relu(average @ gate(net["second"], hidden))
        return F.cross_entropy(gate(net["head"], hidden), y)

    return Program(net, loss)


def set_network() -> Program:
    """A sum over the elements of each set."""
    net = modules(each=nn.Linear(3, 8), all=nn.Linear(8, 8), head=nn.Linear(8, 1))
    sets, y = torch.randn(10, 5, 3), torch.randn(10, 1)

    def loss(gate: Gate) -> Tensor:
        pooled = gate(torch.sum, F.silu(gate(net["each"], sets)), 1)
        return F.mse_loss(gate(net["head"], F.silu(gate(net["all"], pooled))), y)

    return Program(net, loss)


def word_vectors() -> Program:
    """Skip-grams with negative samples."""
    net = modules(centre=nn.Embedding(20, 6), context=nn.Embedding(20, 6))
    centre, near, far = labels(32, 20), labels(32, 20), labels(32, 20)

    def loss(gate: Gate) -> Tensor:
        word = gate(net["centre"], centre)
        close, distant = ((word * gate(net["context"], other)).sum(1) for other in (near, far))
        return -(gate(F.logsigmoid, close) + gate(F.logsigmoid, -distant)).mean()

    return Program(net, loss)


def distillation() -> Program:
    """A student of a fixed teacher."""
    net = modules(body=nn.Linear(6, 8), head=nn.Linear(8, 4))
    teacher = nn.Linear(6, 4)
    x, y = torch.randn(16, 6), labels(16, 4)

    def loss(gate: Gate) -> Tensor:
        with torch.no_grad():
            soft = F.softmax(teacher(x) / 2, -1)
        logits = gate(net["head"], F.relu(gate(net["body"], x)))
        taught = F.kl_div(gate(F.log_softmax, logits / 2, -1), soft, reduction="batchmean")
        return taught + gate(F.cross_entropy, logits, y)

    return Program(net, loss)


def prototypes() -> Program:
    """Distances of queries to the means of classes."""
    body = nn.Sequential(nn.Linear(6, 10), nn.GELU())
    net = modules(body=body, head=nn.Linear(10, 5, bias=False))  # a bias would cancel in the distances
    support, query = torch.randn(3, 4, 6), torch.randn(9, 6)

    def loss(gate: Gate) -> Tensor:
        centres = gate(net["head"], gate(net["body"], support)).mean(1)
        features = gate(net["head"], gate(net["body"], query))
        distances = (features[:, None] - centres).square().sum(-1)
        return F.cross_entropy(gate(torch.neg, distances), torch.arange(9) % 3)

    return Program(net, loss)


def inner_step() -> Program:
    """One step of descent on the head, differentiated."""
    head = nn.Linear(8, 3)
    net = modules(body=nn.Linear(5, 8), head=head)
    (x, fresh), (y, wanted) = torch.randn(2, 9, 5), (labels(9, 3), labels(9, 3))

    def loss(gate: Gate) -> Tensor:
        weight, bias = head.weight, head.bias
        first = F.cross_entropy(F.linear(torch.tanh(gate(net["body"], x)), weight, bias), y)
        slopes = torch.autograd.grad(first, (weight, bias), create_graph=True)
        moved = [p - 0.5 * slope for p, slope in zip((weight, bias), slopes, strict=True)]
        return F.cross_entropy(gate(F.linear, torch.tanh(gate(net["body"], fresh)), *moved), wanted)

    return Program(net, loss)


COMPOSED = (
    two_heads,
    mixture_of_experts,
    mixture_density,
    heat_equation,
    policy_gradient,
    q_learning,
    graph_network,
    set_network,
    word_vectors,
    distillation,
    prototypes,
    inner_step,
)
