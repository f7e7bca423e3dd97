"""What an estimator is, and the names of those that come with the package."""

from collections.abc import Callable, Mapping
from typing import Protocol

from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from torchstone.programs.expectation.enumeration import Enumerate
from torchstone.programs.expectation.pathwise import Pathwise
from torchstone.programs.expectation.relaxed import Gumbel, StraightThrough
from torchstone.programs.expectation.sampling import Function, Shape
from torchstone.programs.expectation.score import Score


class Estimator(Protocol):
    """From f, a distribution and (r, k) to r × k terms, whose mean and its gradient are what is looked for."""

    def __call__(self, f: Function, p: Distribution, shape: Shape) -> Float[Tensor, "r k *batch"]:
        """Terms: each has the value of f; the gradient of their mean is the estimate."""
        ...


ESTIMATORS: Mapping[str, Callable[[], Estimator]] = {
    "pathwise": Pathwise,
    "score": Score,
    "enumerate": Enumerate,
    "gumbel": Gumbel,
    "straight_through": StraightThrough,
    "antithetic": lambda: Pathwise(antithetic=True),
}


def estimator_of(choice: str | Estimator) -> Estimator | None:
    """The estimator by its name; ``None`` for ``"auto"``.

    Raises:
        ValueError: there is none of that name.
        TypeError: it is neither a name nor an estimator.
    """
    if choice == "auto":
        return None
    if not isinstance(choice, str):
        if not callable(choice) or isinstance(choice, type):
            raise TypeError(f"estimator must be a name or an estimator such as Score('none'), but it is {choice!r}.")
        return choice
    if choice not in ESTIMATORS:
        raise ValueError(f"estimator must be 'auto' or one of {', '.join(ESTIMATORS)}, but it is {choice!r}.")
    return ESTIMATORS[choice]()
