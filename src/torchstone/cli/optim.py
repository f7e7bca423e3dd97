"""``torchstone optim race``: learning rules down a surface, as an animation, a page that plays it, or a picture."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from torchstone.cli.common import UsageError, check_file, check_writable, screen

if TYPE_CHECKING:
    from rich.table import Table

    from torchstone.optim import Race, Surface


@dataclass(frozen=True)
class Optim:
    """Race learning rules down a surface, with learning rates tuned alike, and draw their paths."""

    what: Annotated[tyro.conf.Positional[Literal["race"]], tyro.conf.arg(metavar="race")]
    """what to do"""
    surface: str = "beale"
    """beale, saddle, valley, ridge, rosenbrock, himmelblau, rastrigin, booth, camel, styblinski_tang, moons, or
    quadratic-N with the condition number N"""
    rules: str = "sgd,momentum,adam,amsgrad,adamnc"
    """names joined by commas: sgd, momentum, nesterov, adagrad, adadelta, rmsprop, rmsprop_momentum, adam, nadam,
    amsgrad, adamnc"""
    steps: int = 500
    """steps that each rule takes"""
    lr: float | None = None
    """one learning rate for all rules; without it, each gets the best of one grid"""
    within: float = 1e-3
    """the table counts steps until f is so close to its minimum"""
    seed: int = 0
    """of the draws of a noisy surface (moons)"""
    out: Annotated[tuple[tuple[Path, ...], ...], tyro.conf.UseAppendAction] = ()
    """one file or several: .gif (animation), .html (player), .png or .svg (picture of the end); race.gif if not said"""
    theme: Literal["light", "dark"] = "light"
    """of .gif, .png and .svg; a page has both"""

    @property
    def paths(self) -> list[Path]:
        """The files of every ``--out``, each once."""
        return list(dict.fromkeys(path for several in self.out for path in several)) if self.out else [Path("race.gif")]

    def run(self) -> int:
        """Race, draw and print the table; returns the exit code."""
        from torchstone.optim import Grid, race

        surface = surface_named(self.surface)
        self._check()
        try:
            tune: Grid | float = Grid() if self.lr is None else self.lr
            result = race(
                surface, [rule.strip() for rule in self.rules.split(",")], steps=self.steps, tune=tune, seed=self.seed
            )
        except ValueError as error:
            raise UsageError(str(error)) from error
        for path in self.paths:
            self._draw(result, path)
        console = screen()
        console.print(table_of(result, self.within))
        for path in self.paths:
            console.print(f"Written: {path}", markup=False, soft_wrap=True)
        return 0

    def _check(self) -> None:
        """Refuse what cannot be drawn or counted before anything is computed."""
        from torchstone.optim.animation import check_suffix

        if not self.within > 0:
            raise UsageError(f"--within must be positive, but is {self.within}.")
        if not self.paths:
            raise UsageError("--out needs a file, such as race.gif.")
        for path in self.paths:
            try:
                check_suffix(path)
            except ValueError as error:
                raise UsageError(f"--out {error}") from None
            check_writable(path.parent)
            check_file(path)

    def _draw(self, result: "Race", path: Path) -> None:
        from torchstone.optim import animate

        try:
            animate(result, path, theme=self.theme)
        except OSError as error:
            raise UsageError(f"--out {path} could not be written: {error.strerror}.") from error


def surface_named(name: str) -> "Surface":
    """The surface called ``name``; ``quadratic-N`` has the condition number N.

    Raises:
        UsageError: there is none; the message offers the nearest name.
    """
    from torchstone.optim import SURFACES, quadratic

    if name in SURFACES:
        return SURFACES[name]
    stem, _, kappa = name.partition("-")
    if stem == "quadratic":
        try:
            return quadratic(float(kappa))
        except ValueError:
            raise UsageError(f"--surface {name}: after quadratic- comes a number of at least 1.") from None
    raise UsageError(f"There is no surface '{name}'.{_guess(name, SURFACES)} There are {', '.join(SURFACES)}.")


def table_of(race: "Race", within: float) -> "Table":
    """A row a rule: its rate, where it ended, how soon it was near the minimum, and what else should be known."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    known = race.surface.lowest is not None
    near: Iterable[int | None] = race.steps_to(within) if known else [None] * len(race.rules)
    table = Table(box=box.SIMPLE_HEAD, title=_title(race), title_justify="left", title_style="bold")
    table.add_column("Rule", no_wrap=True)
    for heading in (
        "Learning rate",
        f"f after {race.steps} steps",
        *([f"Steps to within {within:g}"] if known else []),
    ):
        table.add_column(heading, justify="right")
    table.add_column("Notes", overflow="fold")
    for rule, rate, values, steps in zip(race.rules, race.rates, race.values, near, strict=True):
        reached = [("never" if steps is None else str(steps))] if known else []
        cells = [rule, f"{rate:.3g}", f"{values[-1]:.3g}", *reached, "; ".join(race.notes(rule))]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _title(race: "Race") -> str:
    rates = f"learning rates: {race.grid}" if race.grid else "one learning rate for all rules"
    return f"{race.surface.title or race.surface.name}; {rates}"


def _guess(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""
