"""The review in a real browser: filters and search, nothing asked for from elsewhere, every width, dark, no scripts."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from torchstone.lab import Status
from torchstone.lab.review import write_review

pytestmark = pytest.mark.browser
CLAIMS = (
    ("sharp-minima", "optim", Status.CONFIRMED, "Sharp minima need not generalise worse."),
    ("warm-restarts", "optim", Status.ABSENT, "Warm restarts help."),
    ("spectral-bias", "spectral", Status.CONFIRMED, "Networks learn low frequencies first, says Poincaré."),
    ("grokking", "spectral", None, "Long after it fits, a network generalises."),
)


@pytest.fixture
def index(shelf: Any, tmp_path: Path) -> str:
    for name, family, status, sentence in CLAIMS:
        shelf.put(name, family, status, sentence)
    write_review(shelf.folder, tmp_path / "site")
    return (tmp_path / "site" / "index.html").as_uri()


@pytest.fixture
def page(chromium: Any, index: str) -> Iterator[Any]:
    """The index, open; what the browser complains of and asks for is kept in ``complaints`` and ``requests``."""
    page = chromium.new_page(viewport={"width": 1200, "height": 800})
    page.complaints, page.requests = [], []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("request", lambda request: page.requests.append(request.url))
    page.goto(index)
    yield page
    assert page.complaints == []
    page.close()


def shown(page: Any) -> list[str]:
    return [name.strip() for name in page.locator(".claim:visible .name").all_inner_texts()]


def test_filters_and_search_narrow_what_is_shown(page: Any) -> None:
    names = [name for name, *_ in CLAIMS]
    assert shown(page) == names
    page.get_by_label("Family").select_option("optim")
    assert shown(page) == names[:2]
    page.get_by_role("radio", name="confirmed 2").check()
    assert shown(page) == names[:1]
    assert page.locator("#found").inner_text() == "1 of 4 claims"
    assert not page.get_by_role("heading", name="spectral").is_visible()
    page.get_by_role("button", name="Show all").click()
    page.get_by_text("4 of 4 claims").wait_for()
    assert shown(page) == names
    page.get_by_label("Search").fill("POINCARE first")
    assert shown(page) == ["spectral-bias"]
    page.get_by_label("Search").fill("no such word")
    assert shown(page) == []
    assert page.get_by_text("No claim is like that.").is_visible()


def test_the_address_remembers_what_was_asked_for(page: Any, index: str) -> None:
    page.get_by_label("Family").select_option("spectral")
    page.get_by_role("radio", name="not run yet 1").check()
    assert shown(page) == ["grokking"]
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    assert shown(page) == ["grokking"]
    assert page.get_by_label("Family").input_value() == "spectral"


@pytest.mark.parametrize("width", [320, 390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_offline_at_every_width(page: Any, index: str, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width, "no horizontal overflow"
    page.evaluate("Promise.all([...document.images].map(picture => (picture.loading = 'eager', picture.decode())))")
    assert page.locator(".claim img").count() == 3
    folder = index.removesuffix("index.html")
    assert all(url.startswith(folder) for url in page.requests)
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (max(map(int, background[4:-1].split(","))) < 60) == (scheme == "dark")


def test_a_card_leads_to_its_report_and_back(page: Any, index: str) -> None:
    page.get_by_role("link", name="Warm restarts help.").click()
    assert page.get_by_text("warm-restarts is absent.").is_visible()
    page.get_by_role("link", name="All claims").click()
    assert page.url == index


def test_without_scripts_everything_is_there(chromium: Any, index: str) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(index)
    assert page.locator(".claim").count() == len(CLAIMS)
    assert page.get_by_text("2 confirmed, 1 absent, 1 not run yet.").is_visible()
    assert not page.get_by_label("Search").is_visible()
    context.close()
