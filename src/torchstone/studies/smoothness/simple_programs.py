"""Small correct training programs: classifiers, recurrent networks, attention, autoencoders, pairs, players."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchstone.studies.smoothness.program import Gate, Program, labels, modules


def classifier() -> Program:
    """Three layers and a cross-entropy."""
    net = modules(first=nn.Linear(6, 12), second=nn.Linear(12, 12), head=nn.Linear(12, 4))
    x, y = torch.randn(16, 6), labels(16, 4)

    def loss(gate: Gate) -> Tensor:
        hidden = F.relu(gate(net["first"], x))
        hidden = gate(F.relu, gate(net["second"], hidden))
        return F.cross_entropy(gate(net["head"], hidden), y)

    return Program(net, loss)


def regression_with_weight_decay() -> Program:
    """A squared error, and a penalty on weights."""
    head = nn.Linear(10, 1)
    net = modules(body=nn.Sequential(nn.Linear(5, 10), nn.Tanh()), head=head)
    x, y = torch.randn(20, 5), torch.randn(20, 1)

    def loss(gate: Gate) -> Tensor:
        error = gate(F.mse_loss, gate(net["head"], gate(net["body"], x)), y)
        return error + 0.01 * gate(lambda: head.weight.square().sum())

    return Program(net, loss)


def convolutional_network() -> Program:
    """Convolutions, batch normalisation, pooling."""
    net = modules(
        conv=nn.Conv2d(1, 4, 3, padding=1, bias=False),
        norm=nn.BatchNorm2d(4),
        deep=nn.Conv2d(4, 6, 3),
        head=nn.Linear(6, 3),
    )
    x, y = torch.randn(8, 1, 8, 8), labels(8, 3)

    def loss(gate: Gate) -> Tensor:
        maps = F.relu(gate(net["norm"], gate(net["conv"], x)))
        maps = gate(F.max_pool2d, maps, 2)
        pooled = gate(net["deep"], maps).mean((2, 3))
        return F.cross_entropy(gate(net["head"], pooled), y)

    return Program(net, loss)


def residual_network() -> Program:
    """A block with layer normalisation beside the stream."""
    net = modules(stem=nn.Linear(6, 8), one=nn.Linear(8, 8), norm=nn.LayerNorm(8), two=nn.Linear(8, 8))
    net["head"] = nn.Linear(8, 3)
    x, y = torch.randn(12, 6), labels(12, 3)

    def loss(gate: Gate) -> Tensor:
        stream = gate(net["stem"], x)
        stream = stream + gate(net["two"], F.gelu(gate(net["one"], gate(net["norm"], stream))))
        return F.cross_entropy(gate(net["head"], stream), y)

    return Program(net, loss)


def lstm_tagger() -> Program:
    """A tag for each word."""
    net = modules(embed=nn.Embedding(9, 6), lstm=nn.LSTM(6, 8, batch_first=True), head=nn.Linear(8, 4))
    words, tags = labels(30, 9).view(5, 6), labels(30, 4)

    def loss(gate: Gate) -> Tensor:
        states = gate(lambda x: net["lstm"](x)[0], gate(net["embed"], words))
        return F.cross_entropy(gate(net["head"], states).flatten(0, 1), tags)

    return Program(net, loss)


def unrolled_recurrent_cell() -> Program:
    """A GRU cell, step by step."""
    net = modules(cell=nn.GRUCell(4, 6), head=nn.Linear(6, 2))
    x, y = torch.randn(3, 8, 4), torch.randn(8, 2)

    def loss(gate: Gate) -> Tensor:
        state = torch.zeros(8, 6)
        for step in x:
            state = gate(net["cell"], step, state)
        return F.mse_loss(gate(net["head"], state), y)

    return Program(net, loss)


def self_attention() -> Program:
    """Queries, keys, values."""
    net = modules(query=nn.Linear(6, 6), key=nn.Linear(6, 6, bias=False), value=nn.Linear(6, 6), head=nn.Linear(6, 3))
    x, y = torch.randn(4, 5, 6), labels(4, 3)

    def loss(gate: Gate) -> Tensor:
        scores = gate(net["query"], x) @ gate(net["key"], x).mT / 6**0.5
        mixed = gate(torch.softmax, scores, -1) @ gate(net["value"], x)
        return F.cross_entropy(gate(net["head"], mixed.mean(1)), y)

    return Program(net, loss)


def transformer_layer() -> Program:
    """The next word by torch's own layer, with dropout."""
    net = modules(embed=nn.Embedding(7, 8), layer=nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True))
    net["head"] = nn.Linear(8, 7)
    words = labels(24, 7).view(4, 6)

    def loss(gate: Gate) -> Tensor:
        states = gate(net["layer"], gate(net["embed"], words[:, :-1]))
        return F.cross_entropy(gate(net["head"], states).flatten(0, 1), words[:, 1:].flatten())

    return Program(net, loss)


def autoencoder() -> Program:
    """With a sparse code."""
    net = modules(encoder=nn.Linear(10, 3), decoder=nn.Sequential(nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 10)))
    x = torch.randn(16, 10)

    def loss(gate: Gate) -> Tensor:
        code = gate(net["encoder"], x)
        return gate(F.l1_loss, gate(net["decoder"], code), x) + 0.1 * gate(torch.abs, code).mean()

    return Program(net, loss)


def variational_autoencoder() -> Program:
    """The evidence lower bound, reparameterised."""
    net = modules(body=nn.Linear(10, 8), mean=nn.Linear(8, 2), spread=nn.Linear(8, 2), decoder=nn.Linear(2, 10))
    x, noise = torch.rand(16, 10).round(), torch.randn(16, 2)

    def loss(gate: Gate) -> Tensor:
        hidden = torch.tanh(gate(net["body"], x))
        mean, log_variance = gate(net["mean"], hidden), gate(net["spread"], hidden)
        code = mean + noise * gate(torch.exp, log_variance / 2)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        return F.binary_cross_entropy_with_logits(gate(net["decoder"], code), x) + divergence

    return Program(net, loss)


def contrastive_learning() -> Program:
    """Two views of each example, InfoNCE."""
    net = modules(encoder=nn.Sequential(nn.Linear(6, 10), nn.ReLU()), projector=nn.Linear(10, 4))
    views = torch.randn(2, 12, 6)

    def loss(gate: Gate) -> Tensor:
        one, two = (gate(net["projector"], gate(net["encoder"], view)) for view in views)
        logits = gate(F.normalize, one) @ gate(F.normalize, two).T / 0.2
        return F.cross_entropy(gate(torch.clone, logits), torch.arange(12))

    return Program(net, loss)


def siamese_triplets() -> Program:
    """One network for anchor, positive and negative."""
    net = modules(body=nn.Linear(6, 8), head=nn.Linear(8, 4, bias=False))  # a bias would cancel in the distances
    anchor, positive, negative = torch.randn(3, 10, 6)

    def loss(gate: Gate) -> Tensor:
        a, p, n = (gate(net["head"], F.elu(gate(net["body"], x))) for x in (anchor, positive, negative))
        closer, farther = gate(F.pairwise_distance, a, p), gate(F.pairwise_distance, a, n)
        return F.softplus(closer - farther).mean()

    return Program(net, loss)


def gan_generator() -> Program:
    """The generator's turn: the critic is frozen."""
    net = modules(body=nn.Linear(3, 8), head=nn.Linear(8, 4))
    critic = nn.Sequential(nn.Linear(4, 8), nn.LeakyReLU(0.2), nn.Linear(8, 1)).requires_grad_(False)
    noise = torch.randn(16, 3)

    def loss(gate: Gate) -> Tensor:
        fake = gate(torch.tanh, gate(net["head"], F.relu(gate(net["body"], noise))))
        return F.softplus(-gate(critic, fake)).mean()

    return Program(net, loss)


def gan_critic() -> Program:
    """The critic's turn."""
    net = modules(body=nn.Linear(4, 8), head=nn.Linear(8, 1))
    real, fake = torch.randn(12, 4), torch.rand(12, 4)

    def loss(gate: Gate) -> Tensor:
        good, bad = (gate(net["head"], F.leaky_relu(gate(net["body"], x), 0.2)) for x in (real, fake))
        return gate(F.softplus, -good).mean() + gate(F.softplus, bad).mean()

    return Program(net, loss)


SIMPLE = (
    classifier,
    regression_with_weight_decay,
    convolutional_network,
    residual_network,
    lstm_tagger,
    unrolled_recurrent_cell,
    self_attention,
    transformer_layer,
    autoencoder,
    variational_autoencoder,
    contrastive_learning,
    siamese_triplets,
    gan_generator,
    gan_critic,
)
