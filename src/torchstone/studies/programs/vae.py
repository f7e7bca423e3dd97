"""A small variational autoencoder of binary digits: internal noise, and f smooth in it."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from torchstone.data import digits
from torchstone.nets import seeded


def binary_digits() -> tuple[Float[Tensor, "n 64"], Float[Tensor, "m 64"], Float[Tensor, "m 64"]]:
    """Pixels of 8×8 digits, black or white: 1197 to learn from, 300 to choose a learning rate by, 300 to judge by."""
    pixels = (digits().images.flatten(1) > 127).float()
    order = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(0))
    return pixels[order[600:]], pixels[order[:300]], pixels[order[300:600]]


class VAE(nn.Module):
    r"""p(z) = N(0, 1), p(x | z) Bernoulli pixels, q(z | x) a normal distribution; one hidden layer each.

    Args:
        latent: dimension of z.
        hidden: width of the hidden layers.
        seed: of the initial weights.
    """

    def __init__(self, latent: int = 8, hidden: int = 64, *, seed: int) -> None:
        super().__init__()
        self.latent = latent
        with seeded(seed):
            self.encoder = nn.Sequential(nn.Linear(64, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent))
            self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, 64))

    def posterior(self, x: Float[Tensor, "b 64"]) -> Distribution:
        """q(z | x)."""
        mean, log_scale = self.encoder(x).chunk(2, dim=-1)
        return Independent(Normal(mean, log_scale.exp(), validate_args=False), 1)

    def log_weights(self, z: Float[Tensor, "k b d"], x: Float[Tensor, "b 64"]) -> Float[Tensor, "k b"]:
        """log p(x, z) - log q(z | x)."""
        logits = self.decoder(z)
        likelihood = torch.sum(x * logits - nn.functional.softplus(logits), dim=-1)
        prior = torch.sum(-0.5 * (z.square() + math.log(2 * math.pi)), dim=-1)
        return likelihood + prior - self.posterior(x).log_prob(z)

    def loss(self, z: Float[Tensor, "k b d"], x: Float[Tensor, "b 64"]) -> Float[Tensor, "k b"]:
        """The f of the expectation: minus the log weight."""
        return -self.log_weights(z, x)
