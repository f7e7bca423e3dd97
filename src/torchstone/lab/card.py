"""What the review shows of a run, kept beside its report, so that nothing is computed or drawn twice."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from torchstone.files import sha256, write_text
from torchstone.lab.study import Figure


@dataclass(frozen=True)
class Card:
    """What is known of a run without its records.

    Args:
        sentence: the claim, as it read.
        code_version: the version of the code that its trials ran; ``None`` where the source could not be read.
        verdict: the verdict as :func:`~torchstone.lab.encoding.encode_verdict` writes it; ``None`` if not judged.
        trials: how many trials it had.
        seconds: the time of all of them together.
        environment: what they were computed with, by name.
        picture: the first figure of the report, if there is one.
        page: the SHA-256 of the report.
        findings: what the audit found unfair, in sentences.
    """

    sentence: str
    code_version: str | None
    verdict: str | None
    trials: int
    seconds: float
    environment: Mapping[str, str]
    picture: Figure | None
    page: str
    findings: Sequence[str] = ()


def card_path(report: Path) -> Path:
    """Where the card of the run with this ``report`` lies.

    >>> card_path(Path("reports/small-sample-bias-laptop.html")).as_posix()
    'reports/small-sample-bias-laptop.json'
    """
    return report.with_suffix(".json")


def write_card(card: Card, report: Path) -> None:
    """Write ``card`` beside ``report``, atomically."""
    write_text(card_path(report), json.dumps(asdict(card) | {"environment": dict(card.environment)}))


def read_card(report: Path) -> Card | None:
    """The card beside ``report``; ``None`` where either is missing, or is not what was written together."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        raw = json.loads(card_path(report).read_text(encoding="utf-8"))
        card = Card(**raw | {"picture": raw["picture"] and Figure(**raw["picture"])})
        if card.page == sha256(report.read_bytes()):
            return card
    return None
