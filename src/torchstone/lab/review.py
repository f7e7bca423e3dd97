"""The living review: a static site with a card for every claim and the report of its last run behind it."""

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from torchstone.files import DamagedFileError, write_text
from torchstone.lab.card import Card, read_card
from torchstone.lab.catalogue import Entry, catalogue
from torchstone.lab.discover import discover
from torchstone.lab.divergence import tells_of_divergence
from torchstone.lab.encoding import encode_verdict
from torchstone.lab.pages import render, text_of
from torchstone.lab.plan import planned_trials
from torchstone.lab.report import render_without_records, report_path, write_report
from torchstone.lab.run import Run
from torchstone.lab.store import Key, LastVerdict, Store
from torchstone.lab.study import Figure, Study
from torchstone.lab.verdict import Check, Status, Verdict
from torchstone.lab.wording import MARKS

NOT_JUDGED, NOT_RUN = "not judged", "not run yet"
ANSWERS: Mapping[str, str] = {status.value: MARKS[status] for status in Status} | {NOT_JUDGED: "", NOT_RUN: ""}
CHECKS_ON_A_CARD = 3
BACK = '<nav class="kicker"><a href="../index.html">← All claims</a></nav>'
SIGNATURE = '<meta name="generator" content="Torchstone">'
Studies = Callable[[], Mapping[str, Study]]


class NotOurSiteError(ValueError):
    """The folder for the site holds something else."""


@dataclass(frozen=True)
class Item:
    """A claim as the review shows it.

    Args:
        entry: the claim.
        last: its last verdict, if it has one.
        card: what else is known of that run, or of one that was too small to be judged.
        report: the report of that run; ``None`` where there is none.
    """

    entry: Entry
    last: LastVerdict | None = None
    card: Card | None = None
    report: Path | None = None

    @property
    def answer(self) -> str:
        """The last verdict, or why there is none: a key of :data:`ANSWERS`."""
        if self.last:
            return self.last.verdict.status.value
        return NOT_JUDGED if self.card else NOT_RUN

    @property
    def picture(self) -> Figure | None:
        """The first figure of a run that was judged; a smoke run has nothing to show yet."""
        return self.card.picture if self.card and self.last else None

    @property
    def outdated(self) -> bool:
        """Whether another version of its code would run today than the one that did."""
        return self.card is not None and self.card.code_version != self.entry.code_version

    @property
    def date(self) -> str:
        """The day on which it was judged or run; empty for a claim that was not."""
        when = self.last.when if self.last else self.card.environment.get("date", "") if self.card else ""
        if not when:
            return ""
        day = datetime.fromisoformat(when)
        return f"{day.day} {day:%B %Y}"

    @property
    def version(self) -> str:
        """The torchstone that ran it, with its commit; empty where that is unknown."""
        known = self.card.environment if self.card else {}
        commit = known.get("commit", "none")
        words = f"torchstone {known['torchstone']}" if "torchstone" in known else ""
        words += f" at {commit[:7]}" if commit != "none" else ""
        return words + (", with changes" if known.get("dirty") == "yes" else "")

    @property
    def file(self) -> str:
        """The name of its files in the site."""
        return re.sub(r"[^\w.-]+", "-", self.entry.claim.name)


class Family(NamedTuple):
    """The claims of one family."""

    name: str
    items: Sequence[Item]


def review(runs: str | Path) -> list[Item]:
    """What the runs below ``runs`` say about every claim of this machine, by family, those with a verdict first.

    A report that is missing or older than the verdict is written anew from the records, as long as they are those of
    the present code.

    Args:
        runs: the ``--out`` of ``torchstone run``; without a store there, no claim has been run.
    """
    folder = Path(runs)
    store = Store(folder) if (folder / "store.sqlite").is_file() else None
    on_record = set(store.studies()) if store else set()
    studies = cache(discover)  # asked for only where a report is written anew: that needs torch
    items = [_item(entry, store, on_record, studies) if store else Item(entry) for entry in catalogue()]
    order = list(ANSWERS)
    return sorted(items, key=lambda item: (item.entry.family, order.index(item.answer) >= len(Status)))


def write_review(runs: str | Path, site: str | Path) -> list[Item]:
    """Write the review of the runs below ``runs`` as a static site: ``index.html``, a page and a picture per claim.

    The site opens from the disk, needs no server and no network, and works without scripts. Only what has changed is
    written.

    Args:
        runs: the ``--out`` of ``torchstone run``.
        site: the folder of the site; made when missing.

    Returns:
        The claims as they are shown.

    Raises:
        NotOurSiteError: ``site`` holds an ``index.html`` that is no review.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     items = write_review("no-runs-yet", folder)
        ...     (Path(folder) / "index.html").is_file(), {item.answer for item in items}
        (True, {'not run yet'})
    """
    folder = Path(site)
    _check_ours(folder / "index.html")
    items = review(runs)
    for item in items:
        _write(folder / "claims" / f"{item.file}.html", _page(item))
        if item.picture:
            _write(folder / "pictures" / f"{item.file}.svg", _standalone(item.picture.svg))
    _write(folder / "index.html", render_index(items))
    return items


def render_index(items: Sequence[Item]) -> str:
    """The index of the review as one HTML page.

    Args:
        items: the claims, those of one family together.
    """
    script = text_of("review.js")
    families = [Family(name, list(members)) for name, members in groupby(items, key=lambda item: item.entry.family)]
    counts = Counter(item.answer for item in items)
    return render(
        "review.html",
        families=families,
        total=len(items),
        answers={answer: counts[answer] for answer in ANSWERS if counts[answer]},
        answer_marks=ANSWERS,
        highlights=highlights,
        css=text_of("theme.css", "review.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def highlights(verdict: Verdict) -> Sequence[Check]:
    """The checks that stand on a card: with a number of the paper first, then those that decide; and what diverged."""
    diverged = [check for check in verdict.checks if tells_of_divergence(check)]
    others = [check for check in verdict.checks if not tells_of_divergence(check)]
    return sorted(others, key=lambda check: (check.reported is None, not check.primary))[:CHECKS_ON_A_CARD] + diverged


def _item(entry: Entry, store: Store, on_record: Container[tuple[str, str]], studies: Studies) -> Item:
    name = entry.claim.name
    last = store.last_verdict(name)
    if last is None and (name, "smoke") not in on_record:
        return Item(entry)
    scale, seed = (last.scale, last.seed) if last else ("smoke", 0)
    report = report_path(store.folder, name, scale, seed)
    card = read_card(report)
    if card and card.verdict != (encode_verdict(last.verdict) if last else None):
        card = None
    if card is None or card.sentence != entry.claim.sentence:
        run = _recorded_run(entry, store, scale, seed, last, studies)
        card = _card_anew(run, store.folder) or card
    return Item(entry, last, card, report if card else None)


def _recorded_run(
    entry: Entry, store: Store, scale: str, seed: int, last: LastVerdict | None, studies: Studies
) -> Run | None:
    """The run as it is on record, on the device that was used last; ``None`` without records of the present code."""
    name, version = entry.claim.name, entry.code_version or ""
    on_record, origins = store.records(name, scale), store.origins(name, scale)
    for device in dict.fromkeys(key.device for key in reversed(on_record) if key.code_version == version):
        study = studies()[name]
        planned = {Key.of(name, scale, trial, version, device): trial for trial in planned_trials(study, scale, seed)}
        found = {key: replace(on_record[key], trial=trial) for key, trial in planned.items() if key in on_record}
        if found:
            environment = origins[next(reversed(found))].environment
            return Run(study, scale, seed, list(found.values()), last and last.verdict, 0.0, environment)
    return None


def _card_anew(run: Run | None, folder: Path) -> Card | None:
    """Write the report of ``run``; ``None`` where tensors that its figures need are gone."""
    with suppress(DamagedFileError):
        return read_card(write_report(run, folder)) if run else None
    return None


def _page(item: Item) -> str:
    """The page behind a card: the report, with the way back."""
    if item.report:
        page = item.report.read_text(encoding="utf-8")
    else:
        page = render_without_records(item.entry.claim, item.last.verdict if item.last else None)
    return page.replace("<main>", f"<main>\n{BACK}", 1)


def _standalone(svg: str) -> str:
    """An ``<svg>`` element that is a file of its own, too."""
    named = 'xmlns="http://www.w3.org/2000/svg"'
    return svg if named in svg.partition(">")[0] else svg.replace("<svg", f"<svg {named}", 1)


def _check_ours(index: Path) -> None:
    if index.exists() and SIGNATURE not in index.read_text(encoding="utf-8", errors="replace"):
        raise NotOurSiteError(
            f"site must be a folder for the review alone, but {index} is a page of something else. Give another folder."
        )


def _write(path: Path, text: str) -> None:
    if not path.is_file() or path.read_bytes() != text.encode():
        write_text(path, text)
