"""What is claimed, and by whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Paper:
    """Where a claim comes from: who said it, when, and in which table or section."""

    authors: str
    year: int
    title: str
    arxiv: str | None = None
    where: str = ""

    @property
    def cite(self) -> str:
        """One line: authors, year, title, arXiv number, table or section."""
        parts = [f"{self.authors} ({self.year}). {self.title}"]
        parts += [f"arXiv:{self.arxiv}"] if self.arxiv else []
        parts += [self.where] if self.where else []
        return ", ".join(parts) + "."


@dataclass(frozen=True)
class Claim:
    """One falsifiable sentence, with its source.

    Args:
        name: the name a user types, words joined by hyphens.
        sentence: the claim itself; a run can show it to be false.
        paper: the source.
        method: how we test it, in plain words: one string a paragraph.
        reported: the numbers that the paper reports, by name.
        differs: how our protocol differs from the paper's, one sentence each.
    """

    name: str
    sentence: str
    paper: Paper
    method: Sequence[str] = ()
    reported: Mapping[str, float] = field(default_factory=dict)
    differs: Sequence[str] = ()
