"""What the tests of holes share: a program with one hole, a fit that trains nothing, and the loss of a fit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from torchstone.programs.holes import Fit, Poly, Program, hole, program
from torchstone.programs.holes.examples import checked
from torchstone.programs.holes.objective import Objective
from torchstone.programs.holes.task import Task


@pytest.fixture
def linear() -> Callable[..., Program]:
    """Makes a program that is one hole, a line unless it is given another body."""

    def make(body: nn.Module | None = None) -> Program:
        @program
        def p(x):
            return hole("f", x)

        p.holes["f"] = Poly(1) if body is None else body
        return p

    return make


@pytest.fixture
def quietly() -> Callable[..., Fit]:
    """Fits a program without a step, for what a fit does besides training."""

    def fit(p: Program, examples: list, **options: Any) -> Fit:
        return p.fit(examples, **({"steps": 0, "restarts": 1, "check": False} | options))

    return fit


@pytest.fixture
def objective() -> Callable[..., Objective]:
    """Makes the loss that a fit minimises, one example after the other."""

    def make(p: Program, examples: list, branches: str = "enumerate", **changes: Any) -> Objective:
        task = Task(p.function, p.holes, checked(examples, torch.float32, torch.device("cpu")), batching="none")
        options = {"samples": 2, "max_paths": 64, "max_steps": 64} | changes
        return Objective(task, branches, generator=torch.Generator().manual_seed(0), **options)

    return make
