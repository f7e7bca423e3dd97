"""The review: every claim has its card, a card says what is on record, and nothing is computed twice."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from torchstone.lab import Check, Estimate, Record, Status, Trial, Verdict, write_report
from torchstone.lab.card import card_path
from torchstone.lab.divergence import judge
from torchstone.lab.report import report_path
from torchstone.lab.review import NotOurSiteError, highlights, render_index, review, write_review

Shelf = Any  # of conftest.py


class Index(HTMLParser):
    """The cards by the name of their claim: attributes, text, links; and every tag of the page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.cards: list[dict[str, Any]] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if tag == "article":
            self.inside = True
            self.cards.append({"answer": attributes["data-answer"], "text": "", "links": []})
        if self.inside and ("href" in attributes or "src" in attributes):
            self.cards[-1]["links"].append(attributes.get("href") or attributes["src"])

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "article"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.cards[-1]["text"] += f" {' '.join(data.split())}"


def index_of(site: Path) -> Index:
    return Index((site / "index.html").read_text(encoding="utf-8"))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


def test_a_card_says_what_is_on_record(shelf: Shelf, site: Path) -> None:
    shelf.put("first-claim", status=Status.WEAKER)
    write_review(shelf.folder, site)
    (card,) = index_of(site).cards
    text = " ".join(card["text"].split())
    assert card["answer"] == "weaker"
    for words in (
        "This is first-claim.",
        "Kornblith, Norouzi, Lee & Hinton (2019)",
        "≈ weaker first-claim is weaker.",
        "linear CKA finds the layer 0.981 [0.958, 0.994] 0.993",
        "and 2 more checks",
        "scale laptop",
        "3 trials in 2 min 49 s",
        "torchstone 0.1.0",
    ):
        assert words in text
    assert re.search(r"\d{1,2} [A-Z][a-z]+ 20\d\d", text)
    assert card["links"] == ["claims/first-claim.html", "pictures/first-claim.svg", "claims/first-claim.html"]
    assert all((site / link).is_file() for link in card["links"])


def test_a_claim_that_was_never_run_says_so(shelf: Shelf, site: Path) -> None:
    shelf.put("unknown-claim", status=None)
    write_review(shelf.folder, site)
    (card,) = index_of(site).cards
    assert card["answer"] == "not run yet"
    assert "Nobody has run it here. torchstone run unknown-claim" in " ".join(card["text"].split())
    page = (site / "claims" / "unknown-claim.html").read_text(encoding="utf-8")
    assert "not run yet" in page
    assert "How we test it" in page
    assert "What it cost" not in page
    assert not (site / "pictures").exists()


def test_a_smoke_run_is_not_judged(shelf: Shelf, site: Path, make_run: Callable[..., Any], layers_study: Any) -> None:
    shelf.put(layers_study.claim.name, status=None)
    run = make_run(layers_study, "smoke")
    shelf.judged(run)
    shelf.entries[0] = replace(shelf.entries[0], claim=layers_study.claim)
    write_report(run, shelf.folder)
    (item,) = write_review(shelf.folder, site)
    assert (item.answer, item.picture) == ("not judged", None)
    assert "Only a smoke run is on record." in index_of(site).cards[0]["text"]


def test_without_a_store_nothing_was_run_and_nothing_is_made(shelf: Shelf, site: Path, tmp_path: Path) -> None:
    shelf.put("a-claim")
    (item,) = write_review(tmp_path / "no-runs", site)
    assert item.answer == "not run yet"
    assert not (tmp_path / "no-runs").exists()


def test_families_stay_together_and_answers_come_before_open_questions(shelf: Shelf, site: Path) -> None:
    for name, family, status in (
        ("a", "optim", None),
        ("b", "similarity", None),
        ("c", "optim", Status.ABSENT),
        ("d", "similarity", Status.OPPOSITE),
        ("e", "optim", Status.CONFIRMED),
    ):
        shelf.put(name, family, status)
    items = write_review(shelf.folder, site)
    assert [item.entry.claim.name for item in items] == ["c", "e", "a", "d", "b"]
    names = [attributes["data-family"] for tag, attributes in index_of(site).tags if tag == "section"]
    assert names == ["optim", "similarity"]


def test_the_page_of_a_claim_is_its_report_with_the_way_back(shelf: Shelf, site: Path) -> None:
    shelf.put("a-claim")
    write_review(shelf.folder, site)
    report = report_path(shelf.folder, "a-claim", "laptop").read_text(encoding="utf-8")
    page = (site / "claims" / "a-claim.html").read_text(encoding="utf-8")
    assert 'href="../index.html"' in page
    assert re.sub(r"\n<nav .*?</nav>", "", page) == report


def test_what_is_current_is_neither_computed_nor_written_again(shelf: Shelf, site: Path) -> None:
    shelf.put("a-claim")
    write_review(shelf.folder, site)  # the fixture fails if a study is asked for
    before = {path: path.stat().st_mtime_ns for path in [*site.rglob("*.*"), *shelf.folder.rglob("*.html")]}
    write_review(shelf.folder, site)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def spoil_nothing_left(report: Path) -> None:
    report.unlink()
    card_path(report).unlink()


def spoil_page(report: Path) -> None:
    report.write_text(report.read_text(encoding="utf-8") + "x", encoding="utf-8")


def spoil_card(report: Path) -> None:
    card_path(report).write_text("{}")


@pytest.mark.parametrize("spoil", [spoil_nothing_left, spoil_page, spoil_card, Path.unlink])
def test_a_report_that_is_gone_or_changed_is_written_from_the_records(
    shelf: Shelf, site: Path, spoil: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shelf.put("a-claim", status=Status.ABSENT)
    spoil(report_path(shelf.folder, "a-claim", "laptop"))
    monkeypatch.setattr("torchstone.lab.review.discover", lambda: {"a-claim": run.study})
    (item,) = write_review(shelf.folder, site)
    assert (item.answer, item.card.trials, item.outdated) == ("absent", 3, False)
    assert "3 networks" in (site / "claims" / "a-claim.html").read_text(encoding="utf-8")
    assert "processor" in item.card.environment


def test_a_newer_verdict_makes_a_newer_report(shelf: Shelf, site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = shelf.put("a-claim")
    shelf.judged(replace(run, verdict=replace(run.verdict, status=Status.OPPOSITE, sentence="Rather not.")))
    monkeypatch.setattr("torchstone.lab.review.discover", lambda: {"a-claim": run.study})
    write_review(shelf.folder, site)
    assert "Rather not." in (site / "claims" / "a-claim.html").read_text(encoding="utf-8")


def test_a_run_of_other_code_says_so(shelf: Shelf, site: Path) -> None:
    shelf.put("a-claim")
    shelf.entries[0] = replace(shelf.entries[0], code_version="000000000000")
    (item,) = write_review(shelf.folder, site)
    assert item.outdated
    assert "Its code has changed since." in index_of(site).cards[0]["text"]


def test_a_verdict_whose_report_and_code_are_gone_is_shown_alone(shelf: Shelf, site: Path) -> None:
    shelf.put("a-claim", status=Status.WEAKER)
    shelf.entries[0] = replace(shelf.entries[0], code_version="000000000000")
    spoil_nothing_left(report_path(shelf.folder, "a-claim", "laptop"))
    (item,) = write_review(shelf.folder, site)
    assert (item.answer, item.card) == ("weaker", None)
    page = (site / "claims" / "a-claim.html").read_text(encoding="utf-8")
    assert "a-claim is weaker." in page
    assert "What we found" in page


def test_numbers_of_the_paper_come_first_on_a_card() -> None:
    estimate = Estimate(0.9, 0.8, 1.0)
    checks = [
        Check.at_least("secondary", estimate, 0.5, zone=0.1, primary=False),
        Check.at_least("decides", estimate, 0.5, zone=0.1),
        Check.report("reported by the paper", estimate, reported=0.8),
        Check.at_least("both", estimate, 0.5, zone=0.1, reported=0.7),
    ]
    shown = highlights(Verdict.of(*checks, sentence="So."))
    assert [check.name for check in shown] == ["both", "reported by the paper", "decides"]


def test_what_diverged_is_never_hidden_on_a_card() -> None:
    estimate = Estimate(0.9, 0.8, 1.0)
    checks = [Check.at_least(f"check {i}", estimate, 0.5, zone=0.1, reported=0.8) for i in range(5)]
    records = [Record(Trial(arm, 0), {"loss": math.nan}, {}, 1.0) for arm in ("ours", "theirs")]
    study = SimpleNamespace(judge=lambda records: Verdict.of(*checks, sentence="So."))
    shown = highlights(judge(study, records))
    assert [check.name for check in shown] == [
        "check 0", "check 1", "check 2", "diverged trials, ours", "diverged trials, theirs",
    ]  # fmt: skip


def test_what_the_audit_found_stands_on_the_card(shelf: Shelf, site: Path) -> None:
    run = shelf.put("a-claim")
    run.study.compares = ("network", "rival")
    write_report(run, shelf.folder)
    write_review(shelf.folder, site)
    (card,) = index_of(site).cards
    missing = "a missing arm: 'rival' is to be compared, but it has no trial here."
    assert f"The audit found {missing}" in " ".join(card["text"].split())


def test_hostile_text_stays_text_and_stays_in_its_folder(shelf: Shelf, site: Path) -> None:
    word = "</script><script>alert(1)</script>\"'{{ 7 * 7 }}"
    shelf.put("../../outside", family=word, sentence=word)
    items = write_review(shelf.folder, site)
    index = Index(render_index(items))
    assert [tag for tag, _ in index.tags].count("script") == 1
    assert word in index.cards[0]["text"]
    assert not any(name.startswith("on") for _, attributes in index.tags for name in attributes)
    assert sorted(path.parent.name for path in site.rglob("*.*")) == ["claims", "pictures", "site"]


def test_the_index_asks_for_its_own_pictures_and_nothing_else(shelf: Shelf, site: Path) -> None:
    shelf.put("a-claim")
    write_review(shelf.folder, site)
    tags = index_of(site).tags
    assert not {tag for tag, _ in tags} & {"link", "iframe", "object", "base"}
    addresses = [value for _, attributes in tags for name, value in attributes.items() if name in {"src", "href"}]
    assert all(re.match(r"(claims|pictures)/", address) for address in addresses)


def test_a_page_of_something_else_is_not_overwritten(shelf: Shelf, site: Path) -> None:
    site.mkdir()
    (site / "index.html").write_text("<h1>My home</h1>")
    with pytest.raises(NotOurSiteError, match=r"index\.html is a page of something else"):
        write_review(shelf.folder, site)
    assert (site / "index.html").read_text() == "<h1>My home</h1>"


def test_the_same_store_gives_the_same_index(shelf: Shelf) -> None:
    shelf.put("a-claim")
    shelf.put("b-claim", "optim", None)
    assert render_index(review(shelf.folder)) == render_index(review(shelf.folder))
