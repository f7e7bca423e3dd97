from io import StringIO
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from torchstone.cli.progress import QUIET_SECONDS, Bars, Lines, bars, watch
from torchstone.lab import Trial
from torchstone.lab.run import Event


def event(kind: str, index: int = 0, fraction: float = 0.0, note: str = "") -> Event:
    return Event(kind, Trial("network", index), index, 3, fraction, note)


def terminal() -> Console:
    return Console(file=StringIO(), force_terminal=True, width=100, color_system=None)


def written(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_a_running_trial_has_a_line_with_fraction_and_note() -> None:
    progress = bars(terminal())
    show = Bars("my-claim", progress)
    show(event("reused", 0))
    show(event("started", 1))
    show(event("progress", 1, 0.25, "step [300/1800]"))
    study, trial = progress.tasks
    assert (study.description, study.total, study.completed) == ("my-claim", 3, 1.25)
    assert study.fields["note"] == "1 of 3 trials"
    assert (trial.description, trial.completed, trial.fields["note"]) == ("  network, seed 1", 0.25, "step [300/1800]")


def test_the_line_goes_when_the_trial_ends() -> None:
    console = terminal()
    progress = bars(console)
    show = Bars("my-claim", progress)
    for index in (0, 1, 2):
        show(event("started", index))
    show(event("skipped", 2, 0.0, "There are [no] pictures here."))
    show(event("finished", 0, 1.0))
    show(event("failed", 1, 0.5, "Traceback\n  somewhere\nValueError: no [red] sand"))
    (study,) = progress.tasks
    assert study.completed == 1
    assert "network, seed 1: failed: ValueError: no [red] sand" in written(console)
    assert "somewhere" not in written(console)
    assert "network, seed 2: left out: There are [no] pictures here." in written(console)


def test_the_live_display_is_drawn_on_a_terminal() -> None:
    console = terminal()
    with watch("my-claim", console) as listen:
        listen(event("started"))
        listen(event("progress", 0, 0.5, "halfway"))
    assert "my-claim" in written(console)
    assert "halfway" in written(console)


def test_plain_lines_without_a_terminal() -> None:
    console = Console(file=StringIO(), force_terminal=False)
    with watch("my-claim", console) as listen:
        listen(event("started"))
        listen(event("progress", 0, 0.5, "step [300/600]"))
        listen(event("finished", 0, 1.0))
    assert written(console).splitlines() == ["[1/3] network, seed 0: started", "[1/3] network, seed 0: finished"]


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(0, 30)), max_size=40))
def test_a_trial_never_speaks_more_often_than_every_few_seconds(steps: list[tuple[int, float]]) -> None:
    now = 0.0
    spoken: dict[str, list[float]] = {}
    lines = Lines(lambda line: spoken.setdefault(line[:5], []).append(now), lambda: now)
    for index, pause in steps:
        now += pause
        lines(event("progress", index, 0.5))
    for times in spoken.values():
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(gap >= QUIET_SECONDS - 1e-9 for gap in gaps)
    assert len(spoken) == len({index for index, _ in steps}), "each trial's first progress is told"
