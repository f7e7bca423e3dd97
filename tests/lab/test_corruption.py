"""A thousand corruptions of records, tensors and checkpoints: none passes for what was written."""

import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch

from torchstone.files import DamagedFileError, write_tensors
from torchstone.lab import Check, Estimate, NewerStoreError, Store, Trial, Verdict
from torchstone.lab.store import Artifacts, Key, artifact_path
from torchstone.training import load_checkpoint, save_checkpoint

Corrupt = Callable[[bytes, random.Random], bytes]
CHECKPOINT_FILES = ["manifest.json", "state.json", "tensors.safetensors"]


def flip(content: bytes, dice: random.Random) -> bytes:
    """Another bit."""
    place = dice.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << dice.randrange(8)]) + content[place + 1 :]


def cut(content: bytes, dice: random.Random) -> bytes:
    return content[: dice.randrange(len(content))]


def zero(content: bytes, dice: random.Random) -> bytes:
    """Zeros where something else was, as far as a sector."""
    start = dice.choice([place for place, byte in enumerate(content[: 1 << 16]) if byte])
    length = min(dice.choice([1, 16, 512]), len(content) - start)
    return content[:start] + bytes(length) + content[start + length :]


def swap(content: bytes, dice: random.Random) -> bytes:
    """Two stretches in each other's place."""
    while True:
        length = dice.randint(1, max(1, min(64, len(content) // 3)))
        first, second = sorted(dice.sample(range(len(content) // length), 2))
        blocks = [content[start : start + length] for start in (first * length, second * length)]
        if blocks[0] != blocks[1]:
            between = content[(first + 1) * length : second * length]
            end = content[(second + 1) * length :]
            return content[: first * length] + blocks[1] + between + blocks[0] + end


CORRUPTIONS: list[Corrupt] = [flip, cut, zero, swap]


def cases(times: int) -> Iterator[tuple[Corrupt, random.Random]]:
    for seed in range(times):
        for corrupt in CORRUPTIONS:
            yield corrupt, random.Random(seed)


def tensors(seed: int) -> dict[str, torch.Tensor]:
    return {"x": torch.randn(30, 5, generator=torch.Generator().manual_seed(seed))}


def test_300_corruptions_of_tensors(tmp_path: Path) -> None:
    sums = [write_tensors(tmp_path / str(seed), tensors(seed)) for seed in range(2)]
    whole, other = ((tmp_path / name).read_bytes() for name in "01")
    contents = [corrupt(whole, dice) for corrupt, dice in cases(75)]
    for content in [*contents, other]:
        (tmp_path / "0").write_bytes(content)
        with pytest.raises(DamagedFileError, match=r"0 is damaged.*(Delete it and run again|Get or write it again)"):
            Artifacts(tmp_path / "0", sums[0])["x"]
    (tmp_path / "0").write_bytes(whole)
    assert torch.equal(Artifacts(tmp_path / "0", sums[0])["x"], tensors(0)["x"])


@pytest.mark.parametrize("name", CHECKPOINT_FILES)
def test_300_corruptions_of_checkpoints_fall_back_to_the_last_good_one(tmp_path: Path, name: str) -> None:
    """A hundred of each file; the last three are files of the step before, of another training, and none at all."""
    for step in (1, 2):
        save_checkpoint(tmp_path / "this", step, {"step": step, "lr": 0.1 / step, **tensors(step)})
    save_checkpoint(tmp_path / "other", 2, {"step": 2, "lr": 0.3, **tensors(3)})
    file = tmp_path / "this" / "step-00000002" / name
    whole = file.read_bytes()
    stale = [(tmp_path / folder / name).read_bytes() for folder in ("this/step-00000001", "other/step-00000002")]
    contents = [corrupt(whole, dice) for corrupt, dice in cases(25)][3:]
    for content in [*contents, *stale, b""]:
        file.write_bytes(content)
        with pytest.warns(UserWarning, match=r"A checkpoint is skipped: .*step-00000002"):
            checkpoint = load_checkpoint(tmp_path / "this")
        assert checkpoint is not None
        assert (checkpoint.step, checkpoint.state["lr"]) == (1, 0.1)
        assert torch.equal(checkpoint.state["x"], tensors(1)["x"])


def filled(folder: Path) -> Store:
    store = Store(folder)
    for seed in range(12):
        trial = Trial(("ours", "theirs")[seed % 2], seed, {"width": 64})
        key = Key.of("claim", "laptop", trial, "0123456789ab", "cpu")
        metrics = {"accuracy": 0.5 + seed / 32, "loss": 1 / (seed + 1)}
        store.add(key, trial, metrics, f"{seed:064x}", seconds=1.5, environment={"torch": "2.13", "threads": "1"})
    check = Check.at_least("ours", Estimate(0.75, 0.5, 1), 0.5, zone=0.1)
    store.add_verdict("claim", "laptop", 0, "0123456789ab", Verdict.of(check, sentence="It holds."))
    return store


def content_of(store: Store) -> list[object]:
    """All that a store says, with floats to the last bit."""
    records = [
        (key, record.trial, {name: value.hex() for name, value in record.metrics.items()}, record.seconds)
        for key, record in store.records("claim", "laptop").items()
    ]
    sums = [record.artifacts.sha256 for record in store.records("claim", "laptop").values()]  # type: ignore[attr-defined]
    return [store.studies(), records, sums, store.origins("claim", "laptop"), store.last_verdict("claim")]


def refused(folder: Path, content: bytes, expected: list[object]) -> bool:
    """Whether a store with this file is refused; if it is not, it says all that it said."""
    for path in folder.glob("store.sqlite*"):
        path.unlink()
    (folder / "store.sqlite").write_bytes(content)
    try:
        said = content_of(Store(folder))
    except (DamagedFileError, NewerStoreError) as error:
        refusal = str(error)
    else:
        assert said == expected, "damage has passed for a record"
        return False
    assert "store.sqlite" in refusal
    assert "another folder" in refusal
    return True


def places_of_texts(file: Path) -> list[int]:
    """Where in a store's file the bytes of its texts are, in the tables and in the index."""
    whole = file.read_bytes()
    with closing(sqlite3.connect(file)) as connection:
        rows = [row for table in ("trials", "verdicts") for row in connection.execute(f"SELECT * FROM {table}")]
    texts = {value.encode() for row in rows for value in row if isinstance(value, str) and len(value) > 8}
    starts = [(match.start(), len(text)) for text in texts for match in re.finditer(re.escape(text), whole)]
    return sorted({place for start, length in starts for place in range(start, start + length)})


def test_400_corruptions_of_the_store(tmp_path: Path) -> None:
    """Damage to what is written is refused; damage to bytes that SQLite has no use for may leave all as it was."""
    expected = content_of(filled(tmp_path))
    places = places_of_texts(tmp_path / "store.sqlite")
    whole = (tmp_path / "store.sqlite").read_bytes()
    assert len(places) > 3000
    for place in random.Random(0).sample(places, 200):
        content = whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :]
        assert refused(tmp_path, content, expected), f"bit of byte {place}"
    for corrupt, dice in cases(50):
        found = refused(tmp_path, corrupt(whole, dice), expected)
        assert found or corrupt in (flip, zero), corrupt.__name__
    assert not refused(tmp_path, whole, expected)


def test_a_missing_tensor_file_is_told_apart_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="is missing"):
        Artifacts(artifact_path(tmp_path, "0" * 64), "0" * 64)["x"]
