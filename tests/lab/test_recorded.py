"""Records under names that a person types."""

from pathlib import Path

import pytest

from torchstone.lab import Store, Trial
from torchstone.lab.recorded import UnknownRecordError, find_record, recorded
from torchstone.lab.store import Key

ENVIRONMENT = {"torch": "2.13.0", "threads per job": "2"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three records of two studies at two scales."""
    store = Store(tmp_path)
    for study, scale, seed in (("fair", "smoke", 0), ("fair", "laptop", 1), ("unfair", "smoke", 0)):
        trial = Trial("coin", seed, {"throws": 10})
        key = Key.of(study, scale, trial, "0123456789ab", "cpu")
        store.add(key, trial, {"heads": seed / 4}, None, seconds=1.5, environment=ENVIRONMENT)
    return store


def test_what_a_study_has_on_record(store: Store) -> None:
    found = recorded(store, "fair")
    assert [(each.key.scale, each.key.seed, each.record.metrics) for each in found] == [
        ("laptop", 1, {"heads": 0.25}),
        ("smoke", 0, {"heads": 0.0}),
    ]
    assert recorded(store, "fair", "smoke")[0].key == found[1].key
    assert all(each.origin.environment == ENVIRONMENT and each.origin.finished.endswith("+00:00") for each in found)
    assert all(each.sha256 is None for each in found)
    assert recorded(store, "fair", "paper") == recorded(store, "nobody") == []


def test_an_id_names_one_record_in_every_store(store: Store, tmp_path: Path) -> None:
    records = [*recorded(store, "fair"), *recorded(store, "unfair")]
    assert len({each.id for each in records}) == 3
    for each in records:
        assert find_record(store, each.id).key == each.key
        assert find_record(Store(tmp_path), each.id[:8].upper()).record.metrics == each.record.metrics


@pytest.mark.parametrize("record_id", ["", "abc", "xyzw", "0" * 17, "12 45", "%%%%"])
def test_what_is_no_id(store: Store, record_id: str) -> None:
    with pytest.raises(UnknownRecordError, match="A record's id has 4 to 16 of the digits"):
        find_record(store, record_id)


def test_an_unknown_and_an_ambiguous_id(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {each.id[:4] for each in [*recorded(store, "fair"), *recorded(store, "unfair")]}
    free = next(digits for digits in ("0000", "1111", "2222", "3333") if digits not in taken)
    with pytest.raises(UnknownRecordError, match=rf"No record has an id that starts with '{free}' in .*--records"):
        find_record(store, free)
    monkeypatch.setattr(Key, "digest", "abcdef0123456789")
    with pytest.raises(UnknownRecordError, match=r"3 records have ids that start with 'abcdef' .* Give more digits\."):
        find_record(store, "abcdef")
