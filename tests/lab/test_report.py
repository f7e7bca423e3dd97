import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import pytest

from torchstone.lab import Check, Claim, Estimate, Paper, Record, Status, Study, Verdict
from torchstone.lab.report import NOT_JUDGED, render_report, report_path, rerun_command, write_report
from torchstone.lab.run import Run

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Page(HTMLParser):
    """The text of each heading's section, every attribute, and a check that tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def words(self) -> str:
        return " ".join(self.text.split())


class Hostile(Study):
    """Whatever a study may say, it stays text."""

    word = "<script>alert('1')</script> & \"quoted\" {{ 7 * 7 }}"
    claim = Claim(word, word, Paper(word, 2024, word, word, word), [word], {word: math.nan}, [word])
    scales: ClassVar = {"laptop": None}

    def trials(self, scale: object) -> list[object]:
        return []

    run = trials

    def judge(self, records: Sequence[Record]) -> Verdict:
        check = Check.at_least(self.word, Estimate(math.nan, -math.inf, math.inf), 0.5, zone=0.1)
        return Verdict.of(check, sentence=self.word)


@pytest.fixture
def as_if_installed(monkeypatch: pytest.MonkeyPatch, layers_study: Study) -> None:
    """The module of the small study is one that commands look into."""
    monkeypatch.setattr(import_module("torchstone.lab.discover"), "HOME", type(layers_study).__module__)


def test_sections_come_in_the_order_in_which_a_reader_asks(layers_run: Run) -> None:
    headings = re.findall(r"<h2[^>]*>([^<]*)", render_report(layers_run))
    assert headings == [
        "Who claims it",
        "How we test it",
        "What we found",
        "Pictures",
        "How our protocol differs from the paper’s",
        "What it cost",
        "Run it again",
    ]


@pytest.mark.usefixtures("as_if_installed")
def test_everything_that_is_known_is_on_the_page(layers_run: Run) -> None:
    words = Page(render_report(layers_run)).words()
    claim, verdict = layers_run.study.claim, layers_run.verdict
    assert verdict is not None
    for text in (claim.sentence, claim.paper.cite, verdict.sentence, *claim.method, *claim.differs):
        assert text in words
    for check in verdict.checks:
        assert check.name in words
        assert check.rule in words
    for name, value in layers_run.environment.items():
        assert f"{name} {value}" in words
    assert "0.981 [0.958, 0.994]" in words
    assert "torchstone run corresponding-layers --scale laptop --seed 0" in words
    assert "2 min 49 s" in words, "the time of all trials together"


def test_checks_that_decide_come_first_with_the_papers_number_beside_ours(layers_run: Run) -> None:
    words = Page(render_report(layers_run)).words()
    body = words[words.index("What we found") :]
    assert body.index("untrained network") < body.index("RBF CKA")
    assert "≥ 0.9 0.993 ✓ confirmed" in body
    assert "– 0.993 reported only" in body


@pytest.mark.parametrize("status", list(Status))
def test_a_verdict_is_said_in_words_and_not_by_colour_alone(
    layers_study: Study, make_run: Callable[..., Run], status: Status
) -> None:
    run = make_run(layers_study)
    answered = replace(run, verdict=Verdict(status, "So it is.", run.verdict.checks))
    assert re.search(rf"{status.value} So it is\.", Page(render_report(answered)).words())


def test_smoke_is_not_judged(layers_study: Study, make_run: Callable[..., Run]) -> None:
    words = Page(render_report(make_run(layers_study, "smoke"))).words()
    assert f"not judged {NOT_JUDGED}" in words
    assert "What we found" not in words
    assert "confirmed" not in words


@pytest.mark.usefixtures("as_if_installed")
def test_records_in_a_store_are_named_so_that_they_can_be_reproduced(layers_run: Run) -> None:
    assert "reproduce" not in Page(render_report(layers_run)).words()
    named = [replace(record, id=f"{record.trial.seed:016x}") for record in layers_run.records]
    words = Page(render_report(replace(layers_run, records=named))).words()
    assert all(f"network width = 64 record {record.id} {record.trial.seed} accuracy" in words for record in named)
    assert words.index("Run it again") < words.index(f"torchstone reproduce {named[0].id}")


def test_a_metric_that_is_not_finite_is_shown_as_such(layers_study: Study, make_run: Callable[..., Run]) -> None:
    assert "accuracy NaN (not finite)" in Page(render_report(make_run(layers_study, accuracy=math.nan))).words()


def test_trials_that_were_left_out_are_counted(layers_run: Run) -> None:
    words = Page(render_report(replace(layers_run, records=layers_run.records[:1]))).words()
    assert "Trials 1 of 3" in words
    assert "lacks what they need 2" in words
    assert "lacks" not in Page(render_report(layers_run)).words()


def test_hostile_text_stays_text(make_run: Callable[..., Run]) -> None:
    study = Hostile()
    run = Run(study, "laptop", 0, [], study.judge([]), 1.0, {study.word: study.word})
    page = Page(render_report(run))
    assert "script" not in {tag for tag, _ in page.tags}
    assert page.words().count(study.word) >= 12
    assert "49" not in page.words()


def test_the_page_asks_for_nothing_outside_itself(layers_run: Run) -> None:
    for tag, attributes in Page(render_report(layers_run)).tags:
        assert tag not in {"script", "link", "iframe", "object", "base"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name == "src" or name.endswith("href"):
                assert (value or "").startswith(("#", "data:")) or tag == "a"


def test_tables_and_figures_have_names_for_those_who_cannot_see_them(layers_run: Run) -> None:
    tags = Page(render_report(layers_run)).tags
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")
    pictures = [attributes for _, attributes in tags if attributes.get("role") == "img"]
    assert len(pictures) == 2 + 5, "two figures, five bars"
    assert all(attributes.get("aria-label") for attributes in pictures)
    identifiers = [attributes["id"] for tag, attributes in tags if tag in {"h2", "figcaption"} and "id" in attributes]
    labels = [attributes["aria-labelledby"] for _, attributes in tags if "aria-labelledby" in attributes]
    assert sorted(identifiers) == sorted(labels)


def test_the_same_run_gives_the_same_page(layers_run: Run) -> None:
    assert render_report(layers_run) == render_report(layers_run)


def test_the_page_is_written_where_it_is_said_to_be(
    tmp_path: Path, layers_study: Study, make_run: Callable[..., Run]
) -> None:
    run = make_run(layers_study, seed=4)
    path = write_report(run, str(tmp_path))
    assert path == report_path(tmp_path, "corresponding-layers", "laptop", 4)
    assert path.name == "corresponding-layers-laptop-seed4.html"
    assert path.read_text(encoding="utf-8") == render_report(run)
    assert {file.name for file in path.parent.iterdir()} == {path.name, path.with_suffix(".json").name}


@pytest.mark.usefixtures("as_if_installed")
def test_the_command_repeats_the_run(layers_study: Study, make_run: Callable[..., Run]) -> None:
    assert rerun_command(make_run(layers_study, "smoke", seed=4)) == (
        "torchstone run corresponding-layers --scale smoke --seed 4"
    )


def test_no_command_is_shown_that_would_not_find_the_study(layers_run: Run) -> None:
    run = replace(layers_run, records=[replace(record, id="abc") for record in layers_run.records])
    words = Page(render_report(run)).words()
    assert rerun_command(run) == ""
    assert "torchstone run" not in words
    assert "torchstone reproduce" not in words
    assert f"This one stands in the module {type(run.study).__module__}" in words


@pytest.mark.usefixtures("as_if_installed")
def test_the_command_names_the_device_unless_it_is_the_processor(layers_run: Run) -> None:
    cpu, cuda = (replace(layers_run, environment={"device": device}) for device in ("cpu", "cuda:0 (Some GPU)"))
    assert "--device" not in rerun_command(cpu)
    assert rerun_command(cuda).endswith(" --device cuda:0")
