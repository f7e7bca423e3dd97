"""Pictures of races: what they show is what was measured, in a file of each kind and in a real browser."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from torchstone.optim import SURFACES, Race, Surface, animate, race
from torchstone.optim.race_board import Board
from torchstone.optim.race_gif import steps_shown
from torchstone.optim.race_page import page
from torchstone.optim.race_scene import captions, curves_of, heads, last_step, map_of, places_of_labels
from torchstone.optim.race_style import THEMES, looks

RULES = ["sgd", "momentum", "adam"]


@pytest.fixture(scope="module")
def beale() -> Race:
    return race(SURFACES["beale"], RULES, steps=40, tune=0.003)


@pytest.fixture(scope="module")
def wild() -> Race:
    """SGD diverges, Adam does not."""
    return race(SURFACES["rosenbrock"], ["sgd", "adam"], steps=30, tune=0.05)


def data_of(text: str) -> Any:
    (data,) = re.findall(r'<script type="application/json" id="race">(.*?)</script>', text, flags=re.DOTALL)
    return json.loads(data, parse_constant=pytest.fail)


def test_a_gif_moves_and_repeats(beale: Race, tmp_path: Path) -> None:
    path = beale.animate(tmp_path / "race.gif")
    with Image.open(path) as picture:
        assert (picture.format, picture.info["loop"]) == ("GIF", 0)
        assert getattr(picture, "n_frames") == 41  # noqa: B009
        frames = [np.array(picture.convert("RGB")) for at in (0, 40) if picture.seek(at) is None]
    assert (frames[0] != frames[1]).any()
    assert path.stat().st_size < 1_500_000


def test_a_gif_keeps_the_colours_of_the_rules(beale: Race, tmp_path: Path) -> None:
    with Image.open(animate(beale, tmp_path / "race.gif")) as picture:
        picture.seek(40)
        seen = np.array(picture.convert("RGB")).reshape(-1, 3).astype(int)
    for colour in THEMES["light"].rules[: len(RULES)]:
        wanted = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
        assert (abs(seen - wanted).max(1) <= 12).sum() > 100


def test_the_frames_show_steps_in_order_each_once() -> None:
    for steps in (1, 5, 119, 120, 500, 3000):
        shown = steps_shown(steps)
        assert (shown[0], shown[-1]) == (0, steps)
        assert all(a < b for a, b in itertools.pairwise(shown))
        assert len(shown) == min(120, steps + 1)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_stills_are_the_same_each_time(wild: Race, tmp_path: Path, suffix: str, theme: Any) -> None:
    first, second = (animate(wild, tmp_path / f"{name}{suffix}", theme=theme).read_bytes() for name in "ab")
    assert first == second
    assert first.startswith({".png": b"\x89PNG", ".svg": b"<svg"}[suffix])


def test_a_board_draws_the_measured_points(beale: Race) -> None:
    board = Board(beale)
    board.show(25)
    for row, rule in enumerate(board.rules):
        np.testing.assert_array_equal(np.array(rule.path.get_data()).T, beale.paths[row, :26])
        np.testing.assert_array_equal(rule.curve.get_ydata(), beale.values[row, :26])
    assert board.clock.get_text() == "step 25 of 40"


def test_learning_rates_stand_in_the_picture(beale: Race) -> None:
    words = [text.get_text() for text in Board(beale).figure.texts]
    assert words.count("lr 0.003") == len(RULES)
    assert "Learning rates: given." in " ".join(words)


def test_names_with_dollars_are_words(tmp_path: Path) -> None:
    mine = Surface(
        "mine", lambda point: point.sin().sum(-1), (0.5, 0.2), ((-3, 3), (-3, 3)), title="5$^{", formula="$x$"
    )
    result = race(mine, {"a$b$": "sgd"}, steps=3, tune=0.1)
    board = Board(result)
    board.show(3)
    named = [text for text in (*board.figure.texts, board.rules[0].label) if "$" in text.get_text()]
    assert len(named) == 4
    assert not any(text.get_parse_math() for text in named)
    assert animate(result, tmp_path / "mine.svg").stat().st_size > 1000


@pytest.mark.filterwarnings("error")
def test_a_flat_surface_is_drawn(tmp_path: Path) -> None:
    flat = Surface("flat", lambda point: 0 * point.sum(-1) + 7, start=(0.0, 0.0), box=((-1, 1), (-1, 1)))
    result = race(flat, ["sgd"], steps=2, tune=0.1)
    for suffix in (".svg", ".html"):
        assert animate(result, tmp_path / f"flat{suffix}").stat().st_size > 1000


def test_what_diverged_is_said_and_marked(wild: Race) -> None:
    board = Board(wild)
    board.show(30)
    assert [rule.label.get_text() for rule in board.rules] == ["sgd · diverged", "adam"]
    assert "stands at its last finite point" in " ".join(captions(wild))
    assert "cut off at its edge" in " ".join(captions(wild))


def test_one_that_diverged_does_not_stretch_the_axis(wild: Race) -> None:
    curves = curves_of(wild)
    assert wild.values.max() > 1e50
    assert curves.high < 1e5
    assert "above" in " ".join(captions(wild))


def test_an_escaped_marker_stands_where_its_path_crosses_the_edge() -> None:
    result = race(SURFACES["saddle"], ["sgd", "adam"], steps=200, tune=0.1)
    assert last_step(result) == max(step for step in result.stopped if step)
    for row, place in enumerate(heads(result, 200)):
        before, after = result.paths[row, result.stopped[row] - 1], result.paths[row, result.stopped[row]]  # type: ignore[operator]
        assert place[1] == pytest.approx(2.0)
        assert np.cross([*(after - before), 0], [*(place - before), 0])[2] == pytest.approx(0, abs=1e-12)


def test_steep_maps_have_levels_in_the_logarithm_and_others_do_not() -> None:
    assert map_of(SURFACES["beale"]).logarithmic
    assert not map_of(SURFACES["saddle"]).logarithmic
    np.testing.assert_allclose(np.diff(np.log(map_of(SURFACES["beale"]).levels), 2), 0, atol=1e-9)
    np.testing.assert_allclose(np.diff(map_of(SURFACES["saddle"]).levels, 2), 0, atol=1e-9)


def test_a_surface_of_ones_own_without_known_minima_is_drawn(tmp_path: Path) -> None:
    mine = Surface("mine", lambda point: point.sin().sum(-1), start=(0.5, 0.2), box=((-3, 3), (-3, 3)))
    result = race(mine, {"first": "sgd"}, steps=20, tune=0.1)
    for suffix in (".png", ".svg", ".html"):
        assert animate(result, tmp_path / f"mine{suffix}").stat().st_size > 1000


@given(
    arrays(float, (6, 2), elements=st.floats(0, 500)),
    arrays(float, (6,), elements=st.floats(20, 120)),
)
def test_labels_cover_no_other(markers: np.ndarray, widths: np.ndarray) -> None:
    sizes = np.stack([widths, np.full(6, 15.0)], 1)
    corners = places_of_labels(markers, sizes, (0, 500, 0, 500), 8)
    assert (corners >= 0).all()
    assert (corners + sizes <= 500).all()
    for a, b in itertools.combinations(range(6), 2):
        apart = (corners[a] + sizes[a] <= corners[b] + 1e-9) | (corners[b] + sizes[b] <= corners[a] + 1e-9)
        assert apart.any()


def luminance(colour: str) -> float:
    parts = linear(colour) @ np.array([0.2126, 0.7152, 0.0722])
    return float(parts)


def linear(colour: str) -> np.ndarray:
    values = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Ottosson 2020: a space in which equal distances look about equally large."""
    to_cones = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566]]
    to_cones += [[0.0883024619, 0.2817188376, 0.6299787005]]
    to_lab = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099]]
    to_lab += [[0.0259040371, 0.7827717662, -0.8086757660]]
    return np.array(to_lab) @ np.cbrt(np.clip(np.array(to_cones) @ rgb, 0, None))


# Machado, Oliveira, Fernandes 2009, severity 1: what protanopes, deuteranopes and tritanopes see, in linear RGB.
SIGHTS = {
    "full": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("sight", SIGHTS)
def test_the_colours_of_rules_differ_for_every_eye(theme: Any, sight: str) -> None:
    seen = [oklab(np.clip(np.array(SIGHTS[sight]) @ linear(colour), 0, 1)) for colour in THEMES[theme].rules]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2)) > 0.08


@pytest.mark.parametrize("theme", THEMES)
def test_the_colours_stand_out_from_the_map(theme: Any) -> None:
    """WCAG 2.2 asks for a contrast of 3 of what is not text, 4.5 of text."""
    colours = THEMES[theme]

    def contrast(a: str, b: str) -> float:
        low, high = sorted([luminance(a), luminance(b)])
        return (high + 0.05) / (low + 0.05)

    assert all(contrast(rule, ground) >= 3 for rule in colours.rules for ground in (colours.low, colours.high))
    assert min(contrast(colours.ink, colours.paper), contrast(colours.quiet, colours.paper)) >= 4.5


def test_rules_differ_by_shape_too() -> None:
    assert len({look.marker for look in looks(12)}) == 12
    assert len({(look.colour, look.dashes) for look in looks(18)}) == 18


def test_a_page_holds_the_measured_paths(beale: Race) -> None:
    data = data_of(page(beale))
    for row, rule in enumerate(data["rules"]):
        np.testing.assert_allclose(rule["x"], beale.paths[row, :, 0], rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(rule["y"], beale.paths[row, :, 1], rtol=1e-5, atol=1e-12)
        np.testing.assert_allclose(rule["f"], beale.values[row], rtol=1e-5)


def test_names_cannot_break_out_of_a_page() -> None:
    name = "</script><script>alert(1)</script>"
    text = page(race(SURFACES["booth"], {name: "sgd"}, steps=3, tune=0.01))
    assert "<script>alert" not in text
    assert data_of(text)["rules"][0]["name"] == name


def test_capitals_end_a_name_as_well(beale: Race, tmp_path: Path) -> None:
    assert animate(beale, tmp_path / "race.SVG").read_text().startswith("<svg")


@pytest.mark.parametrize("name", ["race.mp4", "race", "race.gif.txt"])
def test_no_other_kind_of_file(beale: Race, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"must end in \.gif, \.html, \.png or \.svg"):
        animate(beale, tmp_path / name)


def test_no_other_theme(beale: Race, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="theme must be"):
        animate(beale, tmp_path / "race.png", theme="blue")  # type: ignore[arg-type]


@pytest.fixture
def opened(chromium: Any, wild: Race, tmp_path: Path) -> Any:
    """The page of a race, with all that it complained of and asked for."""
    tab = chromium.new_page(viewport={"width": 1200, "height": 900})
    tab.complaints, tab.requests = [], []
    tab.on("console", lambda message: tab.complaints.append(message.text))
    tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.on("request", lambda request: tab.requests.append(request.url))
    tab.goto(animate(wild, tmp_path / "race.html").as_uri())
    yield tab
    assert tab.complaints == []
    assert len(tab.requests) == 1, "nothing but the page itself is asked for"
    tab.close()


def step_of(tab: Any) -> int:
    return int(tab.locator("#step").inner_text())


def place_of(tab: Any, rule: int) -> str:
    return str(tab.locator(f".head[data-rule='{rule}']").get_attribute("transform"))


@pytest.mark.browser
def test_play_moves_and_pause_stops(opened: Any) -> None:
    opened.locator("#scrub").fill("0")
    start = place_of(opened, 1)
    opened.locator("#speed").select_option("4")
    opened.locator("#play").click()
    opened.wait_for_function("Number(document.getElementById('step').textContent) >= 3")
    opened.locator("#play").click()
    assert opened.locator("#play").inner_text() == "Play"
    stood = step_of(opened)
    assert place_of(opened, 1) != start
    opened.wait_for_timeout(200)
    assert step_of(opened) == stood


@pytest.mark.browser
def test_play_goes_to_the_end_and_starts_again_from_there(opened: Any) -> None:
    assert step_of(opened) == 30
    opened.locator("#speed").select_option("4")
    opened.locator("#play").click()
    opened.wait_for_function("document.getElementById('step').textContent !== '30'")
    opened.wait_for_function("document.getElementById('step').textContent === '30'")
    assert opened.locator("#play").inner_text() == "Play"


@pytest.mark.browser
def test_a_rule_can_be_hidden_and_shown(opened: Any) -> None:
    button, parts = opened.locator("[data-toggle='1']"), ["trail", "head", "label", "curve", "tip"]
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert not any(opened.locator(f".{part}[data-rule='1']").is_visible() for part in parts)
    assert all(opened.locator(f".{part}[data-rule='0']").is_visible() for part in ("trail", "head", "label"))
    opened.keyboard.press("2")
    assert all(opened.locator(f".{part}[data-rule='1']").is_visible() for part in parts)


@pytest.mark.browser
def test_the_keys_move_the_clock(opened: Any) -> None:
    for key, step in [("Home", 0), ("ArrowRight", 1), ("Shift+ArrowRight", 11), ("ArrowLeft", 10), ("End", 30)]:
        opened.keyboard.press(key)
        assert step_of(opened) == step
    opened.keyboard.press("Space")
    assert opened.locator("#play").inner_text() == "Pause"


@pytest.mark.browser
def test_curves_and_paths_share_the_clock(opened: Any) -> None:
    opened.locator("#scrub").fill("12")
    assert len(opened.locator(".curve[data-rule='1']").get_attribute("points").split()) == 13
    assert opened.locator(".trail[data-rule='1']").get_attribute("d").count("L") == 12
    assert opened.locator("[data-toggle='0'] .value").inner_text().startswith("f ")
    assert opened.locator(".label[data-rule='0']").text_content() == "sgd · diverged"


@pytest.mark.browser
def test_a_path_far_off_the_map_is_drawn_only_where_it_crosses_it(opened: Any) -> None:
    """Numbers of any size are clipped exactly: no line on the map that the rule did not take."""
    numbers = opened.locator(".trail[data-rule='0']").get_attribute("d")
    places = [float(number) for number in re.findall(r"-?\d+\.?\d*(?:e[+-]?\d+)?", numbers)]
    assert max(map(abs, places)) <= 640 + 20
    assert opened.evaluate("seen([-1e9, 5], [1e9, 5]).flat().map(Math.round).join()") == "-20,5,660,5"
    assert opened.evaluate("seen([-1e3, -1e3], [-1e3, 1e9])") is None
    assert opened.evaluate("seen([10, 10], [20, 30]).flat().join()") == "10,10,20,30"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_fits_and_follows_the_reader_s_theme(opened: Any, width: int, scheme: Any) -> None:
    opened.set_viewport_size({"width": width, "height": 800})
    opened.emulate_media(color_scheme=scheme)
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    paper = tuple(int(THEMES[scheme].paper[at : at + 2], 16) for at in (1, 3, 5))
    assert opened.evaluate("getComputedStyle(document.documentElement).backgroundColor") == f"rgb{paper}"
