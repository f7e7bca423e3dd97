"""Finding the studies: those of ``torchstone.studies`` and those of packages that a user has installed.

A user's package adds claims by an entry point of the group ``torchstone.studies`` that names a module, a package (all
of its modules are searched) or a study class::

    [project.entry-points."torchstone.studies"]
    mine = "my_package.claims"
"""

import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType

from torchstone.lab.study import Study

HOME = "torchstone.studies"
GROUP = "torchstone.studies"


class UnknownStudyError(LookupError):
    """There is no study of that name."""


class StudyWarning(UserWarning):
    """A study was left out: its package cannot be imported, or its name is taken."""


def discover() -> dict[str, Study]:
    """Every study on this machine, by the name of its claim, in alphabetical order.

    A user's package that fails to import, and a study whose name is taken, are left out with a :class:`StudyWarning`.

    Example:
        >>> all(name == study.claim.name for name, study in discover().items())
        True
    """
    found: dict[str, type[Study]] = {}
    for study in _studies_in(import_module(HOME)):
        _add(found, study)
    for point in entry_points(group=GROUP):
        for study in _studies_of(point):
            _add(found, study)
    return {name: found[name]() for name in sorted(found)}


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


def _suggestion(name: str, known: list[str]) -> str:
    near = get_close_matches(name, known, n=3, cutoff=0.5) or [each for each in known if name and name in each]
    return f"Did you mean {' or '.join(repr(each) for each in near)}? " if near else ""


def _studies_of(point: EntryPoint) -> list[type[Study]]:
    """The studies behind a user's entry point; a warning and none where they cannot be had."""
    try:
        target = point.load()
        if isinstance(target, ModuleType):
            return list(_studies_in(target))
        return [_checked(target)]
    except Exception as error:  # whatever a user's package does when it is imported
        package = point.dist.name if point.dist else "unknown"
        warnings.warn(
            f"The studies of the entry point '{point.name} = {point.value}' (package {package}) are left out: "
            f"{type(error).__name__}: {error}",
            StudyWarning,
            stacklevel=3,
        )
        return []


def _studies_in(module: ModuleType) -> Iterator[type[Study]]:
    """The concrete studies defined in ``module`` and, if it is a package, in all modules below it."""
    for value in vars(module).values():
        defined_here = inspect.isclass(value) and value.__module__ == module.__name__
        if defined_here and issubclass(value, Study) and not inspect.isabstract(value):
            yield _checked(value)
    for entry in pkgutil.iter_modules(getattr(module, "__path__", []), f"{module.__name__}."):
        if not entry.name.endswith(".__main__"):
            yield from _studies_in(import_module(entry.name))


def _checked(study: object) -> type[Study]:
    if not (inspect.isclass(study) and issubclass(study, Study)):
        raise TypeError(f"it must name a module or a subclass of torchstone.lab.Study, but it is {study!r}.")
    missing = [name for name in ("claim", "scales") if not hasattr(study, name)]
    if missing:
        raise TypeError(f"the study {study.__qualname__} has no {' and no '.join(missing)}; every study needs both.")
    return study


def _add(found: dict[str, type[Study]], study: type[Study]) -> None:
    first = found.setdefault(study.claim.name, study)
    if first is not study:
        warnings.warn(
            f"Two studies are called '{study.claim.name}': {_where(first)} is used, {_where(study)} is left out. "
            "Give one of them another name.",
            StudyWarning,
            stacklevel=3,
        )


def _where(study: type[Study]) -> str:
    return f"{study.__module__}.{study.__qualname__}"
