"""What is on record, under names that a person can type: a record's id is the start of a hash of its key."""

import re
from typing import NamedTuple

from torchstone.lab.store import Artifacts, Key, Origin, Store
from torchstone.lab.study import Record

ID_DIGITS = 16
LEAST_DIGITS = 4


class Recorded(NamedTuple):
    """A record with its key and where it comes from."""

    key: Key
    record: Record
    origin: Origin

    @property
    def id(self) -> str:
        """Sixteen hexadecimal digits: the same for the same trial, code and device, in every store."""
        return self.key.digest

    @property
    def sha256(self) -> str | None:
        """The SHA-256 of the file of its tensors; ``None`` for a record without tensors."""
        artifacts = self.record.artifacts
        return artifacts.sha256 if isinstance(artifacts, Artifacts) else None


class UnknownRecordError(LookupError):
    """No record has this id, or more than one."""


def recorded(store: Store, study: str, scale: str | None = None) -> list[Recorded]:
    """The records of a study, the oldest first in each scale.

    Args:
        store: where to look.
        study: the name of the claim.
        scale: the scale; ``None`` for all of them.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     recorded(Store(folder), "small-sample-bias")
        []
    """
    scales = [each for name, each in store.studies() if name == study and scale in (None, each)]
    found = []
    for each in scales:
        origins = store.origins(study, each)
        found += [
            Recorded(key, record, origins[key]) for key, record in store.records(study, each).items() if key in origins
        ]
    return found


def find_record(store: Store, record_id: str) -> Recorded:
    """The one record whose id starts with ``record_id``, of whatever study.

    Args:
        store: where to look.
        record_id: four to sixteen hexadecimal digits.

    Raises:
        UnknownRecordError: it is no such text, or no record or more than one has an id that starts with it.
    """
    digits = record_id.lower()
    if not re.fullmatch(rf"[0-9a-f]{{{LEAST_DIGITS},{ID_DIGITS}}}", digits):
        raise UnknownRecordError(
            f"A record's id has {LEAST_DIGITS} to {ID_DIGITS} of the digits 0-9 and a-f, but it is {record_id!r}. "
            "`torchstone show NAME --records` shows those of a claim."
        )
    keys = [key for study, scale in store.studies() for key in store.origins(study, scale)]
    matching = [key for key in keys if key.digest.startswith(digits)]
    if len(matching) != 1:
        known = f"{len(matching)} records have ids that start" if matching else "No record has an id that starts"
        advice = "Give more digits" if matching else "`torchstone show NAME --records` shows those of a claim"
        raise UnknownRecordError(f"{known} with '{digits}' in {store.folder}. {advice}.")
    study, scale = matching[0].study, matching[0].scale
    return next(each for each in recorded(store, study, scale) if each.key == matching[0])
