"""``@differentiable(C1)``: a function whose class is proved at its first call, for each kind of arguments once."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import wraps
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

from torch import Tensor

from torchstone.smoothness.check import check
from torchstone.smoothness.maps import Map
from torchstone.smoothness.rendering import blocks
from torchstone.smoothness.report import NotDifferentiableError
from torchstone.smoothness.types import C0, Property

P = ParamSpec("P")
K = TypeVar("K", bound=C0)


def differentiable(order: type[K], *properties: Property) -> Callable[[Callable[P, Tensor]], Map[P, K]]:
    r"""Make a function a :class:`Map` of a class that is proved, by :func:`check`, before its first value is returned.

    It is proved jointly in all arguments that are floating-point tensors, on the branches that Python takes for the
    first arguments, once for each signature: shapes and dtypes of tensors, values of other arguments (the type
    alone, of what cannot be hashed). Afterwards a call costs a look-up more than the function does.

    Args:
        order: ``C0``, ``C1``, ``C2``, ``Smooth`` or ``Analytic``.
        properties: ``Lipschitz(L)``, ``PiecewiseLinear``, or none.

    Returns:
        What turns a function into a map; as a decorator it stands above ``def``.

    Raises:
        TypeError: there is no order, as in ``@differentiable`` alone.
        NotDifferentiableError: at a call: the function is not, or cannot be proved to be, of this class; the message
            names the operation that is too weak, with its line.

    Example:
        >>> import torch
        >>> from torchstone.smoothness import C1
        >>> @differentiable(C1)
        ... def energy(x: Tensor, scale: float = 1.0) -> Tensor:
        ...     return scale * torch.nn.functional.elu(x).sum()
        >>> energy(torch.tensor([-1.0, 2.0]))
        tensor(1.3679)
        >>> energy
        Map(energy: C1)
        >>> differentiable(C1)(torch.relu)(torch.ones(2))
        Traceback (most recent call last):
        torchstone.smoothness.report.NotDifferentiableError: error[ORDER]: ...

    Paper: none; the word is that of the languages Swift and Dex.
    """

    if isinstance(order, FunctionType):
        raise TypeError(
            f"differentiable needs an order before the function: @differentiable(C1) above {order.__name__}."
        )

    def declare(function: Callable[P, Tensor]) -> Map[P, K]:
        proved: set[Hashable] = set()

        @wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> Tensor:
            signature = (*map(_kind, args), *((name, _kind(value)) for name, value in kwargs.items()))
            if signature not in proved:
                _prove(function, args, kwargs, (order, *properties))
                proved.add(signature)
            return function(*args, **kwargs)

        return Map(checked, order, *properties)

    return declare


def _kind(argument: object) -> Hashable:
    """What of an argument a proof depends on."""
    if isinstance(argument, Tensor):
        return argument.shape, argument.dtype
    return type(argument), argument if isinstance(argument, Hashable) else None


def _prove(
    function: Callable[..., Tensor],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    needed: Iterable[type[C0] | Property],
) -> None:
    def of_all(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
        return function(*args, **kwargs)

    for need in needed:
        report = check(of_all, args, kwargs, wrt="inputs", require=need)
        errors = [finding for finding in report.findings if finding.severity == "error" and finding.code != "UNUSED"]
        if errors:
            raise NotDifferentiableError("\n\n".join(blocks(errors)), report)
