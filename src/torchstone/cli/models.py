"""Models of a user's own, named on the command line as ``module:function``."""

import sys
from difflib import get_close_matches
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchstone.cli.blame import blamed
from torchstone.cli.common import UsageError

if TYPE_CHECKING:
    from torch import nn


def build(spec: str) -> "nn.Module":
    """The model that ``module:function`` makes.

    Raises:
        UsageError: it does not read so, there is no such module or function, or it fails or returns no model.
    """
    from torch import nn

    maker = named(spec)
    if isinstance(maker, nn.Module) or not callable(maker):
        raise UsageError(f"'{spec}' must be a function that makes a model when called without arguments.")
    try:
        signature(maker).bind()
    except TypeError as error:
        raise UsageError(f"'{spec}' cannot be called without arguments: {error}.") from error
    with blamed(f"'{spec}' could not make a model"):
        model = maker()
    if not isinstance(model, nn.Module):
        raise UsageError(f"'{spec}' must return a torch.nn.Module, but returned a {type(model).__name__}.")
    return model


def named(spec: str) -> Any:
    """What ``module:function`` names, imported from the current directory too.

    Raises:
        UsageError: it does not read so, there is no such module or function, or importing it fails.
    """
    module_name, colon, function = spec.partition(":")
    if not (module_name and colon and function) or module_name.startswith("."):
        raise UsageError(f"'{spec}' must read module:function, such as my_models:build_a for build_a in my_models.py.")
    with blamed(f"'{spec}' could not be imported"):
        module = _import(module_name)
    if not hasattr(module, function):
        raise UsageError(f"There is no '{function}' in {module_name}.{_close(function, dir(module))}")
    return getattr(module, function)


def _import(name: str) -> object:
    here = str(Path.cwd())
    added = here not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise UsageError(f"'{name}' imports '{error.name}', which is not installed here.") from error
        nearby = _close(name, [path.stem for path in Path.cwd().glob("*.py")])
        raise UsageError(f"There is no module '{name}', here or installed.{nearby}") from error
    finally:
        if added:
            sys.path.remove(here)


def _close(name: str, known: list[str]) -> str:
    close = get_close_matches(name, [other for other in known if not other.startswith("_")], n=3)
    return f" Did you mean {' or '.join(close)}?" if close else ""
