"""The report in a real browser: nothing is asked for, nothing complains, everything is seen."""

import math
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torchstone.lab import Check, Claim, Estimate, Paper, Record, Trial, Verdict
from torchstone.lab.report import write_report
from torchstone.lab.run import Run

pytestmark = pytest.mark.browser


@pytest.fixture
def report(layers_run: Run, tmp_path: Path) -> str:
    return write_report(layers_run, tmp_path).as_uri()


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_opens_offline(chromium: Any, report: str, width: int, scheme: str) -> None:
    page = chromium.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report)

    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [report]
    assert page.get_by_text("confirmed", exact=False).first.is_visible()
    pictures = page.locator("figure svg").all()
    assert len(pictures) == 2
    for picture in pictures:
        box = picture.bounding_box()
        assert picture.is_visible()
        assert box is not None
        assert min(box["width"], box["height"]) > 100
    assert page.evaluate("document.documentElement.scrollWidth") == width, "no horizontal overflow"
    page.close()


@pytest.mark.parametrize("width", [320, 750, 810])
def test_no_word_is_too_long_for_the_page(chromium: Any, layers_run: Run, tmp_path: Path, width: int) -> None:
    word = "abcdefghij" * 9
    estimate = Estimate(-123456.0, -2e9, 3e9)
    verdict = Verdict.of(Check.at_least(word, estimate, 123456, zone=1, reported=1e9), sentence=word)
    records = [Record(Trial(word, 1, {word: word}), {word: math.nan}, {}, 1.0)]
    study = copy(layers_run.study)
    study.claim = Claim(word, word, Paper(word, 2020, word), [word], {word: 1.0}, [word])
    run = replace(layers_run, study=study, verdict=verdict, records=records, environment={word: word})
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.goto(write_report(run, tmp_path).as_uri())
    page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()


def test_paper_shows_what_the_screen_folds_away(chromium: Any, report: str) -> None:
    page = chromium.new_page(viewport={"width": 680, "height": 800}, color_scheme="dark")
    page.goto(report)
    trials = page.locator("table.trials")
    on_screen = trials.is_visible()
    page.emulate_media(media="print")
    assert (on_screen, trials.is_visible()) == (False, True)
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("document.documentElement.scrollWidth") == 680
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
