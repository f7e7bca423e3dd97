r"""The whole mathematics of a neural stack, queue or deque: what a pop leaves behind, and what a read sees.

Strengths :math:`s_1, s_2, \dots \ge 0` stand in the order in which their cells go, the first to go first. Both
functions ask how much stands ahead of a cell, :math:`a_i = \sum_{j<i} s_j`, and are made of ``relu`` alone, so they are
continuous and piecewise linear. Where two branches meet, the derivative is that of the left argument of the paper's max
and min (its footnote 1), since ``relu`` has derivative 0 at 0.
"""

from jaxtyping import Float
from torch import Tensor


def popped(strengths: Float[Tensor, "*batch n"], pop: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch n"]:
    r"""What is left when an amount is taken away from the front.

    .. math:: s'_i = \max(0,\ s_i - \max(0,\ u - a_i)), \qquad \sum_i s'_i = \max\Big(0, \sum_i s_i - u\Big)

    Args:
        strengths: :math:`s`, (..., n), the first to go first.
        pop: :math:`u`, (...).

    Returns:
        :math:`s'`, (..., n).

    >>> import torch
    >>> popped(torch.tensor([0.5, 0.7]), torch.tensor(0.9))
    tensor([0.0000, 0.3000])

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, equations 2 and 4.
    Differs from the paper: nothing.
    """
    return (strengths - (pop[..., None] - ahead(strengths)).relu()).relu()


def reading(strengths: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    r"""How much of each cell is read when an amount of 1 is read from the front.

    .. math:: w_i = \min(s_i,\ \max(0,\ 1 - a_i)), \qquad \sum_i w_i = \min\Big(1, \sum_i s_i\Big)

    Args:
        strengths: :math:`s`, (..., n), the first to go first.

    Returns:
        :math:`w`, (..., n).

    >>> import torch
    >>> reading(torch.tensor([0.9, 0.0, 0.3]))
    tensor([0.9000, 0.0000, 0.1000])

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, equations 3 and 5.
    Differs from the paper: nothing; min(s, r) is computed as s - relu(s - r), which has the derivative of s at a tie.
    """
    room = (1 - ahead(strengths)).relu()
    return strengths - (strengths - room).relu()


def ahead(strengths: Float[Tensor, "*batch n"]) -> Float[Tensor, "*batch n"]:
    """The sum of all strengths that go before each."""
    return strengths.cumsum(-1) - strengths


def recall(weights: Float[Tensor, "*batch n"], values: Float[Tensor, "*batch n m"]) -> Float[Tensor, "*batch m"]:
    """The sum of the values, each with its weight; 0 where there are none."""
    return (weights[..., None, :] @ values).squeeze(-2)
