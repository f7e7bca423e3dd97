"""The tables of docs/optimizers.md are those of the catalogue, and its examples run."""

import re
from pathlib import Path

import pytest
import torch

from torchstone.optim import RULES
from torchstone.optim.table import BEGIN, END, renewed, tables

DOCUMENT = Path(__file__).parents[2] / "docs" / "optimizers.md"


def test_the_document_holds_the_catalogue_of_today():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert renewed(text) == text, "Run: python -m torchstone.optim.table docs/optimizers.md"


def test_every_rule_and_default_is_told():
    lines = tables().splitlines()
    for rule in RULES.values():
        scheme, semantics = (line for line in lines if line.startswith(f"| `{rule.name}` |"))
        assert rule.phi in scheme
        assert rule.psi in scheme
        assert semantics.count(f"lr {rule.defaults['lr']:g}") >= 1
        assert semantics.count("refused") == 4 - len(rule.semantics)
    assert {line.count(" | ") for line in lines if line} == {6, 4}


def test_a_document_without_markers_is_refused():
    with pytest.raises(ValueError, match="must have the lines <!-- catalogue: begin -->"):
        renewed(f"{END} {BEGIN}")


def test_the_examples_run():
    examples = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert examples
    for example in examples:
        with torch.random.fork_rng(devices=[]):  # it draws as a reader would
            exec(compile(example, str(DOCUMENT), "exec"), {})
