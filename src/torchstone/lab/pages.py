"""Pages from templates: everything is escaped, numbers are written as in the terminal, styles stand in the page."""

import math
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from torchstone.lab.audit import numbers
from torchstone.lab.bars import bar, bar_words
from torchstone.lab.wording import MARKS, MEANINGS, duration, interval, number, paper_number, status_words, value

if TYPE_CHECKING:
    from jinja2 import Environment

_FILTERS: Mapping[str, Any] = {
    "bar": bar,
    "bar_words": bar_words,
    "duration": duration,
    "finite": math.isfinite,
    "interval": interval,
    "number": number,
    "numbers": numbers,
    "paper_number": paper_number,
    "status_words": status_words,
    "value": value,
}


def render(template: str, **values: Any) -> str:
    """The page that ``template`` makes of ``values``; a value that is missing is an error."""
    return _environment().get_template(template).render(marks=MARKS, meanings=MEANINGS, **values)


def text_of(*names: str) -> str:
    """The files ``names`` of the folder ``templates``, one after the other."""
    return "".join((files("torchstone.lab") / "templates" / name).read_text(encoding="utf-8") for name in names)


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(text_of), autoescape=True, undefined=StrictUndefined, trim_blocks=True, auto_reload=False
    )
    environment.filters.update(_FILTERS)
    return environment
