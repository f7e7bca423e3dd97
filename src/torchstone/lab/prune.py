"""What a store no longer needs: records of older code that newer ones have replaced, and tensors of no record."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torchstone.lab.plan import SEEDS_PER_BLOCK
from torchstone.lab.recorded import recorded
from torchstone.lab.store import Key, Store

SECONDS_UNTIL_RECORDED = 600.0  # at most, between the file of a trial's tensors and its record


class Waste(NamedTuple):
    """What may go: records, files of tensors, and how many bytes these take."""

    records: Sequence[Key]
    files: Sequence[Path]
    size: int


def waste(store: Store, versions: Mapping[str, str | None]) -> Waste:
    """What the store no longer needs; nothing is deleted.

    A record may go when the present code of its claim is another one and has judged the same scale and block of seeds;
    at the scale ``smoke``, which is never judged, in any case. A file of tensors may go when no record that stays
    refers to it; one that was written just now may still get its record.

    Args:
        store: the records.
        versions: the present code version of each claim, by its name; records of other claims stay.
    """
    studies = dict.fromkeys(study for study, _ in store.studies())
    everything = [each for study in studies for each in recorded(store, study)]
    judged = {(study, *each) for study in studies for each in store.judged(study)}
    old = {each.key for each in everything if _superseded(each.key, versions.get(each.key.study), judged)}
    needed = {each.sha256 for each in everything if each.key not in old}
    latest = time.time() - SECONDS_UNTIL_RECORDED
    tensors = {path: path.stat() for path in store.folder.glob("artifacts/*/*.safetensors") if path.stem not in needed}
    files = [path for path, state in tensors.items() if state.st_mtime <= latest]
    return Waste([each.key for each in everything if each.key in old], files, sum(tensors[p].st_size for p in files))


def prune(store: Store, gone: Waste) -> None:
    """Delete what :func:`waste` found, the records first: a run makes again whatever it then misses."""
    store.forget(gone.records)
    for path in gone.files:
        path.unlink(missing_ok=True)


def _superseded(key: Key, version: str | None, judged: set[tuple[str, str, int, str]]) -> bool:
    if version is None or key.code_version == version:
        return False
    return key.scale == "smoke" or (key.study, key.scale, key.seed // SEEDS_PER_BLOCK, version) in judged
