"""Data to learn from, to select on, and to open once: the test split is sealed, and its openings are counted."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from torchstone.files import write_text

T = TypeVar("T")


class SealedError(RuntimeError):
    """The test split was asked for while settings were being compared."""


class Sealed(Generic[T]):
    """A test split that counts how often it is looked at, in a file that outlives the process.

    The count is of different looks: a process that was killed and does again what it did before adds nothing, while the
    second look of one process for the same purpose does. A look is on file before the data are handed out.

    It keeps honest people honest; Python hides nothing from those who want to see it.

    Args:
        data: the test split.
        ledger: the file of the looks. In a study: a file in ``context.scratch``, which belongs to one trial.
            One process at a time writes it.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     test = Sealed([1, 2, 3], Path(folder) / "looks")
        ...     mean = sum(test.open("the chosen model")) / 3
        ...     test.openings
        1
    """

    def __init__(self, data: T, ledger: Path) -> None:
        self._data, self._ledger = data, Path(ledger)
        self._mine: Counter[str] = Counter()
        self._locks = 0

    def __repr__(self) -> str:
        return f"Sealed({self.openings} openings, ledger={str(self._ledger)!r})"

    @property
    def openings(self) -> int:
        """How many looks are on file."""
        return len(self._looks())

    @property
    def metrics(self) -> Mapping[str, float]:
        """The count as a metric of an :class:`~torchstone.lab.study.Outcome`; report and audit look for it."""
        return {"test_openings": float(self.openings)}

    def open(self, purpose: str) -> T:
        """The test split, for ``purpose``: a line of text that says what is measured.

        Raises:
            SealedError: a search is going on.
            ValueError: ``purpose`` is empty or has several lines.
        """
        if self._locks:
            raise SealedError(
                f"The test split was asked for ('{purpose}') while settings were being compared. "
                "Compare them on the validation split, and open the test split when the choice is made."
            )
        if not purpose.strip() or purpose.splitlines() != [purpose]:
            raise ValueError(f"purpose must be one line of text that says what is measured, but it is {purpose!r}.")
        self._mine[purpose] += 1
        look, looks = f"{self._mine[purpose]} {purpose}", self._looks()
        if look not in looks:
            write_text(self._ledger, "".join(f"{each}\n" for each in [*looks, look]))
        return self._data

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Refuse to open while the block runs."""
        self._locks += 1
        try:
            yield
        finally:
            self._locks -= 1

    def _looks(self) -> list[str]:
        return self._ledger.read_text(encoding="utf-8").splitlines() if self._ledger.exists() else []


@dataclass(frozen=True)
class Splits(Generic[T]):
    """The parts of a data set: to learn from, to select on, and, sealed, to report.

    Args:
        train: what models learn from.
        validation: what settings are compared on.
        test: what the chosen one is reported on.
    """

    train: T
    validation: T
    test: Sealed[T]
