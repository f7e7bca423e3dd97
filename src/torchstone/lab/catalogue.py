"""What is known of every claim without importing its study, and so without torch.

Finding the studies means importing them all. What was found is kept in the cache folder, and holds as long as no source
file of the packages that it came from has changed.
"""

import json
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torchstone.cache import cache_folder
from torchstone.files import write_text
from torchstone.lab.claim import Claim, Paper
from torchstone.lab.discover import GROUP, HOME, StudyWarning, discover
from torchstone.lab.encoding import digest
from torchstone.lab.study import Study
from torchstone.lab.version import code_version


@dataclass(frozen=True)
class Entry:
    """A claim in the catalogue.

    Args:
        claim: the claim.
        family: the sub-package of ``torchstone.studies`` that holds it, or the user's package.
        scales: the names of its scales.
        code_version: the version of the code that its trials run; ``None`` where the source cannot be read.
    """

    claim: Claim
    family: str
    scales: Sequence[str]
    code_version: str | None


def catalogue() -> list[Entry]:
    """Every claim on this machine in alphabetical order, as :func:`~torchstone.lab.discover.discover` finds them.

    Example:
        >>> {entry.family for entry in catalogue() if entry.claim.name == "corresponding-layers"}
        {'similarity'}
    """
    file, sources = cache_folder() / f"claims-{digest(sys.prefix)}.json", _sources()
    known = _kept(file, sources)
    if known is None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            known = [_entry(study) for study in discover().values()]
        for warning in caught:
            warnings.warn(warning.message, stacklevel=2)
        if sources and not any(issubclass(warning.category, StudyWarning) for warning in caught):
            _keep(file, sources, known)
    return known


def family_of(study: Study) -> str:
    """The sub-package of ``torchstone.studies`` that holds ``study``, or the user's package."""
    return type(study).__module__.removeprefix(f"{HOME}.").partition(".")[0]


def _entry(study: Study) -> Entry:
    version = None
    with suppress(ValueError):
        version = code_version(study)
    return Entry(study.claim, family_of(study), list(study.scales), version)


def _sources() -> str | None:
    """A digest of the entry points, and of size and times of every source file that a claim may come from."""
    points = sorted((point.name, point.value) for point in entry_points(group=GROUP))
    packages = {"torchstone", *(value.partition(":")[0].partition(".")[0].strip() for _, value in points)}
    try:
        files = [_looks(path) for package in sorted(packages) for path in _files_of(package)]
    except (OSError, ImportError, ValueError):  # a package that is not there, or in a zip: found out by importing it
        return None
    return digest([sys.version, points, files])


def _files_of(package: str) -> Iterator[Path]:
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(package)
    if spec.submodule_search_locations is None:
        yield Path(spec.origin or package)
    for folder in spec.submodule_search_locations or []:
        if not Path(folder).is_dir():
            raise FileNotFoundError(folder)
        yield from sorted(Path(folder).rglob("*.py"))


def _looks(path: Path) -> list[str | int]:
    status = path.stat()
    return [str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _keep(file: Path, sources: str, entries: Sequence[Entry]) -> None:
    with suppress(OSError):  # a cache that cannot be written costs time and nothing else
        write_text(file, json.dumps({"sources": sources, "claims": [_to_json(entry) for entry in entries]}))


def _kept(file: Path, sources: str | None) -> list[Entry] | None:
    """What was kept, if it was made from the same ``sources``."""
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return [_from_json(raw) for raw in kept["claims"]] if kept["sources"] == sources else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _to_json(entry: Entry) -> Mapping[str, Any]:
    claim = entry.claim
    reported = {name: float(value) for name, value in claim.reported.items()}
    words = {"name": claim.name, "sentence": claim.sentence, "method": list(claim.method), "differs": [*claim.differs]}
    return {
        "claim": words | {"paper": asdict(claim.paper), "reported": reported},
        "family": entry.family,
        "scales": list(entry.scales),
        "code_version": entry.code_version,
    }


def _from_json(raw: Mapping[str, Any]) -> Entry:
    claim = raw["claim"]
    words = Claim(**claim | {"paper": Paper(**claim["paper"])})
    return Entry(words, raw["family"], raw["scales"], raw["code_version"])
