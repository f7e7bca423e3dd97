"""Figures as inline SVG."""

import re
from xml.etree import ElementTree

from matplotlib.figure import Figure

from torchstone.pictures import svg


def drawing(height: float) -> Figure:
    figure = Figure(figsize=(2, 1))
    axes = figure.add_subplot()
    axes.plot([0, height])
    axes.set_title("a <b> & c")
    return figure


def test_it_is_one_well_formed_element_without_header_or_metadata():
    text = svg(drawing(1.0))
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert "<?xml" not in text
    assert "DOCTYPE" not in text
    assert "metadata" not in text


def test_the_same_figure_gives_the_same_bytes():
    assert svg(drawing(1.0)) == svg(drawing(1.0))


def test_references_stay_inside_the_picture_and_resolve():
    text = svg(drawing(1.0))
    names = set(re.findall(r'\bid="([^"]+)"', text))
    references = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    assert references
    assert references <= names
    assert not re.findall(r'href="(?!#)', text)


def test_two_pictures_share_no_identifier():
    first, second = (set(re.findall(r'\bid="([^"]+)"', svg(drawing(height)))) for height in (1.0, 2.0))
    assert not first & second
