"""``torchstone review``: a static site of what every claim last said."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchstone.cli.common import OUT, UsageError, check_writable, mendable, print_json, screen

if TYPE_CHECKING:
    from torchstone.lab.review import Item


@dataclass(frozen=True)
class Review:
    """Write a site with a card for every claim: its verdict, a picture, its cost, and the report behind it."""

    out: Path = Path("site")
    """folder of the site; open index.html in it"""
    runs: Path = OUT
    """folder of the runs"""
    json: bool = False
    """print JSON instead of a sentence"""

    def run(self) -> int:
        """Write the site; returns the exit code."""
        from torchstone.lab.review import NotOurSiteError, write_review

        check_writable(self.out)
        try:
            with mendable(self.runs, "--runs"):
                items = write_review(self.runs, self.out)
        except NotOurSiteError as error:
            raise UsageError(f"--out: {error}") from None
        index = self.out / "index.html"
        if self.json:
            print_json({"index": str(index), "claims": [row_of(item) for item in items]})
        else:
            screen().print(f"{summary(items)}\nReview: {index}", markup=False, soft_wrap=True)
        return 0


def row_of(item: "Item") -> dict[str, Any]:
    """A claim of the review as JSON values."""
    last = item.last
    verdict = last and {"status": last.verdict.status.value, "scale": last.scale, "seed": last.seed, "when": last.when}
    return {"name": item.entry.claim.name, "family": item.entry.family, "answer": item.answer, "verdict": verdict} | {
        "outdated": item.outdated
    }


def summary(items: "list[Item]") -> str:
    """How many claims gave which answer, on one line."""
    counts = Counter(item.answer for item in items)
    return f"{len(items)} claims: {', '.join(f'{count} {answer}' for answer, count in counts.most_common())}."
