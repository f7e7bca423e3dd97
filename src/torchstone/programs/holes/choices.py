"""What fills a hole that is a decision for the whole program: one of some outcomes, of some functions, an order."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone.programs.holes.bodies import count


class Constant(nn.Module):
    """One of k outcomes, the same in all examples: its logits are the parameters, and begin at 0.

    Args:
        names: what ``explain`` calls the outcomes, at least two.
    """

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = list(names)
        self.logits = nn.Parameter(torch.zeros(count("the number of outcomes", len(self.names), 2)))

    def reset_parameters(self) -> None:
        """Random logits."""
        nn.init.normal_(self.logits)

    @torch.no_grad()
    def settle(self, index: int | None = None) -> None:
        """Make one outcome certain, by default the likeliest."""
        certain = self.logits.argmax() if index is None else index
        self.logits.fill_(-50.0)
        self.logits[certain] = 50.0


class Choose(Constant):
    """One of some functions; which of them is learned.

    Args:
        candidates: at least two functions, each under the name by which ``explain`` calls it.

    Example:
        >>> body = Choose({"d": lambda d: d, "d*d/2": lambda d: d * d / 2})
        >>> list(body.candidates), body.logits.detach()
        (['d', 'd*d/2'], tensor([0., 0.]))
    """

    def __init__(self, candidates: Mapping[str, Callable[..., Any]]) -> None:
        if not isinstance(candidates, Mapping) or not all(callable(f) for f in candidates.values()):
            raise TypeError("`candidates` must map names to functions: Choose({'d*d': lambda d: d * d, ...}).")
        super().__init__(list(candidates))
        self.candidates = dict(candidates)
        self.modules_among = nn.ModuleList(f for f in candidates.values() if isinstance(f, nn.Module))


class Permutation(nn.Module):
    r"""An order of n things: a doubly stochastic matrix that Sinkhorn's iteration makes of scores.

    .. math:: M = \lim_k\, (\text{rows to sum 1, columns to sum 1})^k\, e^{S}

    Args:
        n: how many things.
        iterations: of rows and columns.

    Example:
        >>> Permutation(2).matrix()
        tensor([[0.5000, 0.5000],
                [0.5000, 0.5000]], grad_fn=<ExpBackward0>)

    Paper: Sinkhorn 1964, "A relationship between arbitrary positive matrices and doubly stochastic matrices".
    """

    def __init__(self, n: int, *, iterations: int = 20) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(count("n", n), n))
        self.iterations = count("iterations", iterations)

    def reset_parameters(self) -> None:
        """Random scores."""
        nn.init.normal_(self.scores)

    def matrix(self) -> Float[Tensor, "n n"]:
        """Its rows and columns sum to 1."""
        log_m: Tensor = self.scores
        for _ in range(self.iterations):
            log_m = log_m.log_softmax(1).log_softmax(0)
        return log_m.exp()

    @torch.no_grad()
    def settle(self) -> None:
        """Make the nearest permutation certain."""
        self.scores.copy_(50.0 * self.nearest())

    @torch.no_grad()
    def nearest(self) -> Float[Tensor, "n n"]:
        """The permutation matrix of the largest total score."""
        from scipy.optimize import linear_sum_assignment

        rows, columns = linear_sum_assignment(self.scores.double().cpu().numpy(), maximize=True)
        hard = torch.zeros_like(self.scores)
        hard[torch.from_numpy(rows), torch.from_numpy(columns)] = 1.0
        return hard
