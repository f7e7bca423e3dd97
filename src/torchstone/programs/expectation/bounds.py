"""Two lower bounds of a log-likelihood from importance weights: ELBO and IWAE."""

import math

from jaxtyping import Float
from torch import Tensor


def elbo(log_weights: Float[Tensor, "k ..."]) -> Float[Tensor, "..."]:
    r"""The evidence lower bound, estimated from k samples.

    .. math:: \frac1k \sum_i \log w_i, \qquad w_i = \frac{p(x, z_i)}{q(z_i \mid x)}, \quad z_i \sim q(\cdot \mid x)

    Args:
        log_weights: :math:`\log w`, (k, ...), in nats.

    Returns:
        The bound for each example of the batch, in nats.

    Raises:
        TypeError: the weights are no floating-point numbers.
        ValueError: there is no sample.

    Example:
        >>> import torch
        >>> elbo(torch.tensor([0.0, 2.0]))
        tensor(1.)

    Paper: Kingma, Welling 2013, arXiv:1312.6114, equation 6.
    Differs from the paper: nothing.
    """
    return iwae(log_weights, samples=1)


def iwae(log_weights: Float[Tensor, "k ..."], *, samples: int | None = None) -> Float[Tensor, "..."]:
    r"""The importance-weighted bound with m samples: tighter than the ELBO, and the tighter the larger m.

    .. math:: \mathcal{L}_m = \mathbb{E}\Bigl[\log \frac1m \sum_{i=1}^m w_i\Bigr], \qquad
              \mathrm{ELBO} = \mathcal{L}_1 \le \mathcal{L}_5 \le \mathcal{L}_{50} \le \log p(x)

    The k weights are cut into k/m groups, and the mean over groups is taken. On the same weights the order holds
    exactly where one number of samples divides the other.

    Args:
        log_weights: :math:`\log w`, (k, ...), in nats.
        samples: m, a divisor of k; ``None`` for k.

    Returns:
        The bound for each example of the batch, in nats.

    Raises:
        TypeError: the weights are no floating-point numbers.
        ValueError: they are a single number without a dimension; k is 0 or no multiple of m.

    Example:
        >>> import torch
        >>> log_weights = torch.tensor([1.0, 3.0]).log()
        >>> iwae(log_weights).exp()                        # the mean of the weights
        tensor(2.)

    Paper: Burda, Grosse, Salakhutdinov 2015, arXiv:1509.00519, equation 8 and theorem 1.
    Differs from the paper: nothing.
    """
    if not log_weights.is_floating_point():
        raise TypeError(f"log_weights must be floating-point numbers, but they are {log_weights.dtype}.")
    if not log_weights.ndim:
        raise ValueError("log_weights must be of shape (k, ...), the samples first, but it is a single number.")
    k = len(log_weights)
    m = k if samples is None else samples
    if k < 1 or m < 1 or k % m:
        raise ValueError(
            f"samples must divide the number of log_weights, so that they fall into groups, but samples={m} and there "
            f"are {k}."
        )
    groups = log_weights.reshape(k // m, m, *log_weights.shape[1:])
    return (groups.logsumexp(1) - math.log(m)).mean(0)
