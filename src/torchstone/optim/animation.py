"""A race as a file: an animation, a page that plays it, or a still picture."""

from pathlib import Path

from torchstone.optim.race import Race
from torchstone.optim.race_style import THEMES, Theme

SUFFIXES = (".gif", ".html", ".png", ".svg")


def animate(race: Race, path: str | Path, *, theme: Theme = "light") -> Path:
    """Draw a race into a file, whose ending says how.

    ``.gif`` runs by itself, ``.html`` is a page that works without a network (play, scrub, speed, hide rules; light or
    dark as the reader's system is), ``.png`` and ``.svg`` show the end. All show the same: the map with contours, in
    the logarithm of f above its minimum where f is steep, the paths with one clock for all rules, the curves of f, and
    the learning rates. What leaves the map is cut off at its edge, marked there by a hollow marker and a word.

    Args:
        race: what :func:`torchstone.optim.race` found.
        path: where it goes, to a file that ends in .gif, .html, .png or .svg.
        theme: "light" or "dark"; a page has both.

    Returns:
        The path.

    Raises:
        ValueError: the ending or the theme is none of these.
        OSError: the file cannot be written.
    """
    path = Path(path)
    suffix = check_suffix(path)
    if theme not in THEMES:
        raise ValueError(f"theme must be 'light' or 'dark', but is {theme!r}.")
    if suffix == ".gif":
        from torchstone.optim.race_gif import write_gif

        write_gif(race, path, theme)
    elif suffix == ".html":
        from torchstone.files import write_text
        from torchstone.optim.race_page import page

        write_text(path, page(race))
    else:
        _write_still(race, path, theme)
    return path


def check_suffix(path: Path) -> str:
    """The ending in small letters, if a picture can have it.

    Raises:
        ValueError: it is none of .gif, .html, .png and .svg.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.")
    return suffix


def _write_still(race: Race, path: Path, theme: Theme) -> None:
    from torchstone.files import atomic_path, write_text
    from torchstone.optim.race_board import Board
    from torchstone.pictures import svg

    board = Board(race, theme)
    board.show(board.last)
    if check_suffix(path) == ".svg":
        write_text(path, svg(board.figure) + "\n")
        return
    with atomic_path(path) as temporary:
        board.figure.savefig(temporary, format="png", dpi=200)
