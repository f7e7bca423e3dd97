"""The flaws that the paper found in earlier comparisons, looked for in this one."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

from torchstone.lab.audit import Fault, Finding, audit
from torchstone.lab.reality_check.parts import Parts, classes_of
from torchstone.lab.reality_check.stages import Chosen
from torchstone.lab.run import Run
from torchstone.lab.search.ranges import describe
from torchstone.lab.study import Record

if TYPE_CHECKING:
    from torchstone.lab.reality_check.check import RealityCheck


def flaws(check: "RealityCheck[Any]", run: Run, chosen: Mapping[str, Chosen]) -> list[Finding]:
    """What the laboratory's audit finds in the reproductions, and what only the check can know."""
    return [
        *audit(run),
        *_shared_classes(check.parts),
        *_sizes([record for record in run.records if record.trial.arm in check.methods]),
        *_fixed_fields({name: describe(recipe) for name, (_, recipe) in check.methods.items()}),
        *_diverged_searches(chosen),
    ]


def _shared_classes(parts: Parts[Any]) -> Iterator[Finding]:
    named = [("the test part", parts.test)]
    for fold, (train, validation) in enumerate(parts.folds):
        split = [(f"training in fold {fold}", train), (f"validation in fold {fold}", validation)]
        for (a, one), (b, other) in [*combinations(split, 2), *((each, named[0]) for each in split)]:
            shared = (classes_of(one) or frozenset()) & (classes_of(other) or frozenset())
            if shared:
                yield Finding(Fault.CLASSES, f"{len(shared)} classes of {b} are also in {a}, such as {min(shared)}.")


def _sizes(records: Sequence[Record]) -> Iterator[Finding]:
    sizes = {r.trial.arm: int(r.metrics["embedding_size"]) for r in records if not r.diverged}
    if len(set(sizes.values())) > 1:
        yield Finding(Fault.EMBEDDING, f"Dimensions of an embedding: {_each(sizes)}.")


def _fixed_fields(spaces: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    fixed = {
        method: {name: span["value"] for name, span in space.items() if span["range"] == "fixed"}
        for method, space in spaces.items()
    }
    for name in dict.fromkeys(name for values in fixed.values() for name in values):
        said = {method: repr(values[name]) for method, values in fixed.items() if name in values}
        if len(set(said.values())) > 1:
            yield Finding(Fault.PREPROCESSING, f"The recipes fix {name}: {_each(said)}.")


def _diverged_searches(chosen: Mapping[str, Chosen]) -> Iterator[Finding]:
    for method, found in chosen.items():
        diverged = sum(not math.isfinite(score) for score in found.scores)
        if 2 * diverged > len(found.scores):
            sentence = f"{diverged} of {len(found.scores)} settings of '{method}' diverged: the others are its search."
            yield Finding(Fault.BUDGET, sentence)


def _each(said: Mapping[str, object]) -> str:
    return ", ".join(f"'{method}' {value}" for method, value in said.items())
