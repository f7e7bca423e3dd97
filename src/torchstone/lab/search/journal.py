"""What a search has tried, in a file that is whole at every moment."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torchstone.files import DamagedFileError, sha256, write_text
from torchstone.lab.encoding import to_json


@dataclass(frozen=True)
class Tried:
    """A setting that was tried: its values by name, its score (NaN if it diverged), and why it is NaN, if it is."""

    setting: Mapping[str, Any]
    score: float
    note: str = ""


class Journal:
    """The settings of one search with their scores, written anew with each.

    Args:
        path: the file; one that is there is gone on with.
        identity: which search it is, as JSON values.

    Raises:
        ValueError: the file is of another search.
        DamagedFileError: the file is not what was written.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path, self.identity = path, identity
        self.tried: list[Tried] = self._read() if path.exists() else []

    def add(self, tried: Tried) -> None:
        """Put one more on file."""
        self.tried.append(tried)
        rows = [asdict(each) | {"score": repr(each.score)} for each in self.tried]
        text = to_json({"identity": self.identity, "tried": rows})
        write_text(self.path, f"{sha256(text.encode())}\n{text}")

    def _read(self) -> list[Tried]:
        checksum, _, text = self.path.read_bytes().partition(b"\n")
        if checksum.decode(errors="replace") != sha256(text):
            raise DamagedFileError(f"{self.path} is damaged: it is not what a search wrote. Delete it and run again.")
        content = json.loads(text)
        if to_json(content["identity"]) != to_json(self.identity):
            raise ValueError(f"{self.path} holds another search than this one. Delete it, or give another folder.")
        return [Tried(row["setting"], float(row["score"]), row["note"]) for row in content["tried"]]
