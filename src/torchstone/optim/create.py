"""Any rule of the catalogue by name."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from torch.optim import Optimizer

from torchstone.optim.base import Impl
from torchstone.optim.catalogue import RULES
from torchstone.optim.feasible import Feasible, project
from torchstone.optim.hyper import check_hyper


def create(
    name: str,
    params: Iterable[Any],
    *,
    semantics: str = "torch",
    feasible: Feasible | None = None,
    impl: Impl = "auto",
    **hyper: Any,
) -> Optimizer:
    """Make the optimizer ``name``."""
    if name not in RULES:
        near = get_close_matches(name, RULES, n=1)
        raise ValueError(f"There is no rule {name!r}; did you mean {near}? There are {', '.join(RULES)}.")
    rule = RULES[name]
    unknown = set(hyper) - set(rule.defaults)
    if unknown:
        raise ValueError(f"{name} has no {unknown}. It has {', '.join(rule.defaults)}.")
    check_hyper(hyper)
    optimizer = rule.build(params, **(dict(rule.defaults) | hyper | dict(rule.fixed)))
    if feasible is not None:
        project(optimizer, feasible)
    return optimizer
