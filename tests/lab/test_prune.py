"""What older code has left goes, once newer records are in its place; all else stays."""

import os
from pathlib import Path

import pytest
import torch

from torchstone.files import write_tensors
from torchstone.lab import Check, Estimate, Store, Trial, Verdict
from torchstone.lab.prune import prune, waste
from torchstone.lab.store import Key, artifact_path

VERDICT = Verdict.of(
    Check.report("x", Estimate(1, 0, 2)), Check.at_least("y", Estimate(1, 1, 1), 0.5, zone=0.1), sentence="So."
)
VERSIONS = {"claim": "new"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def record(
    store: Store, code: str, scale: str = "laptop", seed: int = 0, tensor: float = 0, name: str = "claim"
) -> Key:
    """A record with a file of tensors that was written long ago."""
    path = store.folder / "staged"
    sha256 = write_tensors(path, {"x": torch.tensor(float(tensor))})
    target = artifact_path(store.folder, sha256)
    target.parent.mkdir(parents=True, exist_ok=True)
    path.replace(target)
    os.utime(target, (0, 0))
    trial = Trial("ours", seed)
    key = Key.of(name, scale, trial, code, "cpu")
    store.add(key, trial, {}, sha256, seconds=1.0, environment={})
    return key


def files(store: Store) -> set[Path]:
    return set(store.folder.glob("artifacts/*/*"))


def test_older_records_go_where_the_present_code_has_judged_the_same(store: Store) -> None:
    old, older = record(store, "old", seed=1001, tensor=1), record(store, "older", seed=1002, tensor=2)
    stay = {
        record(store, "new", seed=1001, tensor=3),
        record(store, "old", seed=1, tensor=4),  # block 0 was not judged again
        record(store, "old", "paper", seed=1001, tensor=5),  # nor was this scale
        record(store, "old", seed=1001, tensor=6, name="gone"),  # of a claim that is not here
        record(store, "new", "smoke", tensor=7),
    }
    smoke = record(store, "old", "smoke", tensor=8)
    assert waste(store, VERSIONS)[:2] == ([smoke], [artifact_path(store.folder, sha256_of(store, smoke))])
    store.add_verdict("claim", "laptop", 1, "new", VERDICT)
    store.add_verdict("claim", "laptop", 0, "old", VERDICT)
    store.add_verdict("gone", "laptop", 1, "new", VERDICT)

    found = waste(store, VERSIONS)
    freed = {artifact_path(store.folder, sha256_of(store, key)) for key in (old, older, smoke)}
    assert (set(found.records), set(found.files)) == ({old, older, smoke}, freed)
    assert found.size == sum(path.stat().st_size for path in freed)
    before = files(store)
    prune(store, found)
    assert files(store) == before - freed
    assert {key for name, scale in store.studies() for key in store.records(name, scale)} == stay
    assert waste(store, VERSIONS) == ([], [], 0)


def sha256_of(store: Store, key: Key) -> str:
    return str(store.records(key.study, key.scale)[key].artifacts.sha256)


def test_tensors_that_a_record_needs_stay_whoever_made_them(store: Store) -> None:
    old, new = record(store, "old", "smoke", tensor=1), record(store, "new", "smoke", tensor=1)
    found = waste(store, VERSIONS)
    assert (found.records, found.files) == ([old], [])
    prune(store, found)
    assert store.records("claim", "smoke")[new].artifacts["x"] == 1.0


def test_tensors_of_no_record_go_unless_they_are_young(store: Store) -> None:
    orphans = [artifact_path(store.folder, digit * 64) for digit in "ab"]
    for orphan in orphans:
        orphan.parent.mkdir(parents=True)
        orphan.write_bytes(b"tensors")
    os.utime(orphans[0], (0, 0))
    found = waste(store, VERSIONS)
    assert found == ([], orphans[:1], 7)
    prune(store, found)
    assert files(store) == {orphans[1]}
    prune(store, found)  # somebody else was faster
