"""Finding the studies: those of ``torchstone.studies`` and those of packages that a user has installed.

A user's package adds claims by an entry point of the group ``torchstone.studies`` that names a module, a package (all
of its modules are searched) or a study class::

    [project.entry-points."torchstone.studies"]
    mine = "my_package.claims"
"""

import inspect
import pkgutil
import sys
import warnings
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TypeVar

from torchstone.lab.claim import Claim
from torchstone.lab.study import Study

HOME = "torchstone.studies"
GROUP = "torchstone.studies"
T = TypeVar("T")


class UnknownStudyError(LookupError):
    """There is no study of that name."""


class StudyWarning(UserWarning):
    """A study was left out: its module cannot be imported, it cannot be made, or its name is taken."""


def discover() -> dict[str, Study]:
    """Every study on this machine, by the name of its claim, in alphabetical order.

    What cannot be had is left out with a :class:`StudyWarning`: a package or module that fails to import, a study that
    cannot be made without arguments or whose claim is none, one whose name is taken. The others are there all the same.

    Example:
        >>> all(name == study.claim.name for name, study in discover().items())
        True
    """
    found: dict[str, Study] = {}
    for study in _studies_in(import_module(HOME)):
        _add(found, study)
    for point in entry_points(group=GROUP):
        package = point.dist.name if point.dist else "unknown"
        for study in _or_warn(f"entry point '{point.name} = {point.value}' (package {package})", _studies_of, point):
            _add(found, study)
    return dict(sorted(found.items()))


def find(name: str) -> Study:
    """The study whose claim is called ``name``.

    Raises:
        UnknownStudyError: there is none; the message offers the names that come close.
    """
    studies = discover()
    if name not in studies:
        raise UnknownStudyError(
            f"There is no claim named '{name}'. {_suggestion(name, list(studies))}`torchstone list` shows all of them."
        )
    return studies[name]


def installed(study: Study) -> bool:
    """Whether :func:`find` looks where ``study`` is defined; no other module is imported for the answer."""
    module, name = type(study).__module__, type(study).__qualname__
    homes = [HOME, *(point.module for point in entry_points(group=GROUP))]
    below = any(f"{module}.".startswith(f"{home}.") for home in homes)
    return below and vars(sys.modules[module]).get(name) is type(study)


def _suggestion(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.5) or [each for each in known if name and name in each]
    return f"Did you mean {' or '.join(repr(each) for each in near)}? " if near else ""


def _or_warn(what: str, studies: Callable[[T], list[Study]], argument: T) -> list[Study]:
    """The studies that ``studies(argument)`` gives; a warning and none when it fails."""
    try:
        return studies(argument)
    except Exception as error:  # whatever a module does when it is imported, or a class when it is called
        warnings.warn(f"The {what} is left out: {type(error).__name__}: {error}", StudyWarning, stacklevel=3)
        return []


def _studies_of(point: EntryPoint) -> list[Study]:
    target = point.load()
    return _studies_in(target) if isinstance(target, ModuleType) else _made(target)


def _studies_in(module: ModuleType) -> list[Study]:
    """The concrete studies defined in ``module`` and, if it is a package, in all modules below it."""
    studies: list[Study] = []
    for value in vars(module).values():
        defined_here = inspect.isclass(value) and value.__module__ == module.__name__
        if defined_here and issubclass(value, Study) and not inspect.isabstract(value):
            studies += _or_warn(f"study {value.__qualname__} of the module {module.__name__}", _made, value)
    for entry in pkgutil.iter_modules(getattr(module, "__path__", []), f"{module.__name__}."):
        if not entry.name.endswith(".__main__"):
            studies += _or_warn(f"module {entry.name}", _studies_below, entry.name)
    return studies


def _studies_below(name: str) -> list[Study]:
    return _studies_in(import_module(name))


def _made(study: object) -> list[Study]:
    """The study of the class ``study``."""
    if not (inspect.isclass(study) and issubclass(study, Study)):
        raise TypeError(f"it must name a module or a subclass of torchstone.lab.Study, but it is {study!r}.")
    for name, kind in (("claim", Claim), ("scales", Mapping)):
        given = getattr(study, name, None)
        if not isinstance(given, kind):
            raise TypeError(f"{name} of every study must be a {kind.__name__}, but it is {given!r}.")
    return [study()]


def _add(found: dict[str, Study], study: Study) -> None:
    first = found.setdefault(study.claim.name, study)
    if type(first) is not type(study):
        warnings.warn(
            f"Two studies are called '{study.claim.name}': {_where(first)} is used, {_where(study)} is left out. "
            "Give one of them another name.",
            StudyWarning,
            stacklevel=3,
        )


def _where(study: Study) -> str:
    return f"{type(study).__module__}.{type(study).__qualname__}"
