"""``torchstone prune``: free the disk of what older code has left."""

from dataclasses import dataclass
from pathlib import Path

from torchstone.cli.common import OUT, UsageError, mendable, print_json, screen

MEGABYTE = 1e6


@dataclass(frozen=True)
class Prune:
    """Tell what older code has left that newer records replace, and tensors of no record; delete it with --yes."""

    out: Path = OUT
    """folder of the runs"""
    yes: bool = False
    """delete; without it nothing is changed"""
    json: bool = False
    """print JSON instead of a sentence"""

    def run(self) -> int:
        """Say what may go, and delete it if that is wanted; returns the exit code."""
        from torchstone.lab.catalogue import catalogue
        from torchstone.lab.prune import prune, waste
        from torchstone.lab.store import Store

        if not (self.out / "store.sqlite").is_file():
            raise UsageError(f"There are no records in --out {self.out}. Give the folder that a run wrote to.")
        with mendable(self.out):
            store = Store(self.out)
            found = waste(store, {entry.claim.name: entry.code_version for entry in catalogue()})
            if self.yes:
                prune(store, found)
        count, files, size = len(found.records), len(found.files), found.size
        if self.json:
            print_json({"records": count, "files": files, "bytes": size, "deleted": self.yes})
            return 0
        ending = "All are deleted." if self.yes else "Nothing is deleted yet: add --yes."
        words = (
            f"Records of older code: {count}. Tensors of no other record: {files} ({size / MEGABYTE:.1f} MB). {ending}"
        )
        screen().print(words if count or files else "There is nothing to delete.", markup=False, soft_wrap=True)
        return 0
