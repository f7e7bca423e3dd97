"""What the check says of a program, what autograd says of it, and whether the two agree."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from types import FunctionType
from typing import NamedTuple

import torch
from torch import Tensor

from torchstone.nets import seeded
from torchstone.smoothness import Finding, check
from torchstone.studies.smoothness.mutations import At, Mutation, opened
from torchstone.studies.smoothness.program import Gate
from torchstone.studies.smoothness.programs import built

ALARMS = ("DOMAIN", "NAN-BRANCH")  # warnings that gradients are infinite or NaN
DRAWS = 3
COLUMNS = ("tried", "harmed", "found", "raised", "located", "at line", "accused", "intact", "alarmed", "crashed")


class Alarm(NamedTuple):
    """An error about a parameter, or a warning that gradients are not finite, and the line that it names."""

    code: str
    parameter: str | None
    file: str
    line: int


CRASH = Alarm("CRASH", None, "", 0)


class Seen(NamedTuple):
    """What one run of the check said, and the processor seconds that it took."""

    alarms: frozenset[Alarm]
    seconds: float


@dataclass(frozen=True)
class Truth:
    """What autograd says on several draws of weights and sample, by the names of parameters.

    Args:
        dead: no gradient, or nothing but zeros, on every draw.
        poisoned: NaN or infinite on every draw.
        sound: finite and not all zero, on every draw.
        parameters: how many there are.
        raised: whether ``loss.backward()`` raised an error on the first draw.
    """

    dead: frozenset[str]
    poisoned: frozenset[str]
    sound: frozenset[str]
    parameters: int
    raised: bool

    @property
    def harmed(self) -> bool:
        """Whether some parameter cannot learn."""
        return bool(self.dead or self.poisoned)

    @property
    def intact(self) -> bool:
        """Whether every parameter can; a program may be neither, where draws differ."""
        return len(self.sound) == self.parameters


def seen(name: str, seed: int, gate: Gate) -> Seen:
    """The check of a program, once."""
    program = built(name, seed)
    start = time.process_time()
    try:
        with seeded(seed):
            found = frozenset(alarms(check(lambda: program.loss(gate), params=program.net).findings))
    except Exception:  # a check that fails on a program that runs finds nothing, and is an alarm about a sound one
        found = frozenset([CRASH])
    return Seen(found, time.process_time() - start)


def alarms(findings: Iterable[Finding]) -> Iterable[Alarm]:
    """The findings that say that a gradient is missing or not finite."""
    for finding in findings:
        if finding.severity == "error" or finding.code in ALARMS:
            yield Alarm(finding.code, finding.parameter, finding.file, finding.line)


def told(name: str, seed: int, place: int, mutation: Mutation) -> Truth:
    """Autograd's word on a mutant; it draws other weights and samples than the check is given."""
    draws = [gradients(name, seed + 1 + k, At(place, mutation)) for k in range(DRAWS)]
    states = [{key: state(g) for key, g in grads.items()} for grads, _ in draws]
    always = {
        kind: frozenset(key for key in states[0] if all(draw[key] == kind for draw in states))
        for kind in ("dead", "poisoned", "sound")
    }
    return Truth(**always, parameters=len(states[0]), raised=draws[0][1])


def gradients(name: str, seed: int, gate: Gate) -> tuple[dict[str, Tensor | None], bool]:
    """The gradient of every parameter after ``loss.backward()``, and whether that raised an error."""
    program, raised = built(name, seed), False
    with seeded(seed):
        loss = program.loss(gate)
    try:
        loss.backward()  # type: ignore[no-untyped-call]
    except RuntimeError:
        raised = True
    return {key: p.grad for key, p in program.net.named_parameters()}, raised


def state(gradient: Tensor | None) -> str:
    """``"dead"``, ``"poisoned"`` or ``"sound"``."""
    if gradient is None or not bool(gradient.count_nonzero()):
        return "dead"
    return "sound" if bool(torch.isfinite(gradient).all()) else "poisoned"


def places(name: str, seed: int) -> int:
    """How often a program goes through its gate."""
    counter = At(-1, opened)
    with seeded(seed):
        built(name, seed).loss(counter)
    return counter.calls


def right(found: Iterable[Alarm], truth: Truth) -> list[Alarm]:
    """The alarms that are right: errors about parameters that are dead, and warnings if any is poisoned."""
    return [
        alarm for alarm in found if alarm.parameter in truth.dead or (alarm.code in ALARMS and bool(truth.poisoned))
    ]


def accused(found: Iterable[Alarm], truth: Truth) -> bool:
    """Whether there is an error about a parameter whose gradient is sound."""
    return any(alarm.parameter in truth.sound for alarm in found)


def at_the_line(alarm: Alarm, gate: At) -> bool:
    """Whether an alarm names a line of the mutation, or of the stage that it mutates."""
    codes = [f.__code__ for f in (gate.mutation, gate.stage) if isinstance(f, FunctionType)]
    return any(
        alarm.file == code.co_filename and alarm.line in {line for *_, line in code.co_lines()} for code in codes
    )


def row(name: str, seed: int, place: int, mutation: Mutation) -> tuple[list[bool], float]:
    """One mutant: what is true of it, in the order of :data:`COLUMNS`, and the seconds of its check."""
    truth, gate = told(name, seed, place, mutation), At(place, mutation)
    found, seconds = seen(name, seed, gate)
    convicted = right(found - seen(name, seed, opened).alarms, truth)
    lines = [at_the_line(alarm, gate) for alarm in convicted if alarm.line]
    harmed, intact = truth.harmed, truth.intact
    return [
        True,
        harmed,
        harmed and bool(convicted),
        harmed and truth.raised,
        harmed and bool(lines),
        harmed and bool(lines) and all(lines),
        harmed and accused(found, truth),
        intact,
        intact and bool(found),
        CRASH in found,
    ], seconds
