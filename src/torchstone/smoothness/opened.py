"""Functions of torch that are written in Python, opened so that what they call can be seen."""

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any

OVERRIDES = ("has_torch_function", "has_torch_function_unary", "has_torch_function_variadic")


@lru_cache(maxsize=1024)
def opened(function: FunctionType) -> Callable[..., Any]:
    """The same function, except that it does not hand itself over to a mode again; what it calls still does."""
    unseen = dict.fromkeys(OVERRIDES, lambda *args: False)
    twin = FunctionType(
        function.__code__, function.__globals__ | unseen, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__kwdefaults__ = function.__kwdefaults__
    return twin
