"""The mutants are what autograd says they are, the counts count, and the rule says what it must of planted ones."""

import pytest
import torch

from torchstone.lab import Record, Status, Trial
from torchstone.studies.smoothness.cuts_are_found import KINDS, UNMUTATED, CutsAreFound
from torchstone.studies.smoothness.mutations import (
    HARMLESS,
    MUTATIONS,
    At,
    constants_detached,
    detached,
    opened,
    rounded,
    spread_with_itself,
    without_gradients,
)
from torchstone.studies.smoothness.programs import PROGRAMS
from torchstone.studies.smoothness.trial import COLUMNS, CRASH, Alarm, gradients, places, right, row, seen, told

STUDY = CutsAreFound()


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_gradient_of_a_correct_program_is_there_and_is_not_rounding(name: str) -> None:
    for seed in (5, 6):
        found, raised = gradients(name, seed, opened)
        assert not raised
        for parameter, gradient in found.items():
            assert gradient is not None, parameter
            assert 1e-5 < float(gradient.norm()) < 1e5, parameter
    assert places(name, 5) >= 2


def test_the_gate_opens_everywhere_but_at_its_place() -> None:
    gate = At(1, detached)
    x = torch.ones(2, requires_grad=True)
    assert [gate(torch.exp, x).requires_grad for _ in range(3)] == [True, False, True]
    assert gate.calls == 3
    assert gate.stage is torch.exp


def test_a_program_is_decided_by_its_seed() -> None:
    first, again, other = (gradients("classifier", seed, opened)[0]["head.weight"] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


class TestAutogradDecides:
    def test_a_cut(self) -> None:
        truth = told("classifier", 0, 1, detached)  # the second layer
        assert truth.dead == {"first.weight", "first.bias", "second.weight", "second.bias"}
        assert truth.sound == {"head.weight", "head.bias"}
        assert truth.harmed
        assert not truth.intact
        assert not truth.raised

    def test_a_cut_of_everything_raises(self) -> None:
        assert told("classifier", 0, 3, detached).raised
        assert not told("classifier", 0, 3, rounded).raised

    def test_poison(self) -> None:
        truth = told("classifier", 0, 0, spread_with_itself)
        assert truth.poisoned == {"first.weight", "first.bias"}

    def test_what_is_harmless(self) -> None:
        assert told("classifier", 0, 0, constants_detached).intact

    def test_one_of_several_paths(self) -> None:
        assert not told("contrastive learning", 0, 0, detached).harmed  # the other view goes through the same encoder


class TestOneMutant:
    def row(self, *mutant: object) -> dict[str, bool]:
        return dict(zip(COLUMNS, row(*mutant)[0], strict=True))  # type: ignore[arg-type]

    def test_found_at_its_line(self) -> None:
        counts = self.row("classifier", 0, 1, without_gradients)
        assert [name for name, true in counts.items() if true] == ["tried", "harmed", "found", "located", "at line"]

    def test_silence(self) -> None:
        assert [name for name, true in self.row("classifier", 0, 1, constants_detached).items() if true] == [
            "tried",
            "intact",
        ]

    def test_a_check_that_fails_finds_nothing_and_is_a_false_alarm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails(*_: object, **__: object) -> None:
            raise RuntimeError("planted")

        monkeypatch.setattr("torchstone.studies.smoothness.trial.check", fails)
        assert seen("classifier", 0, opened).alarms == {CRASH}
        assert self.row("classifier", 0, 1, detached)["found"] is False
        assert self.row("classifier", 0, 1, constants_detached)["alarmed"] is True

    def test_an_alarm_about_another_parameter_is_not_right(self) -> None:
        truth = told("classifier", 0, 1, detached)
        about = {name: Alarm("GRAD-CUT", name, "", 0) for name in ("first.bias", "head.bias")}
        warning = Alarm("DOMAIN", None, "", 0)
        assert right([*about.values(), warning], truth) == [about["first.bias"]]


def planted(*, found: float = 1.0, alarmed: float = 0.0, seconds: float = 0.1, each: int = 60) -> list[Record]:
    """Records of two programs, with ``each`` mutants or sound programs of a kind."""
    counts = torch.zeros(len(KINDS), len(COLUMNS), dtype=torch.int64)
    for k, kind in enumerate(KINDS):
        share = {"tried": 1, "harmed": 1, "found": found, "raised": 0.2, "located": found, "at line": found}
        if kind in HARMLESS or kind == UNMUTATED:
            share = {"tried": 1, "intact": 1, "alarmed": alarmed}
        for column, part in share.items():
            counts[k, COLUMNS.index(column)] = round(each * part)
    metrics = {name: float(n) for name, n in zip(COLUMNS, counts.sum(0).tolist(), strict=True)}
    times = torch.full((10,), seconds, dtype=torch.float64)
    return [Record(Trial(name, 0), metrics, {"counts": counts, "seconds": times}, 1.0) for name in ("a", "b")]


class TestTheRule:
    def test_planted_effects(self) -> None:
        assert STUDY.judge(planted()).status is Status.CONFIRMED
        assert STUDY.judge(planted(found=0.98)).status is Status.CONFIRMED
        assert STUDY.judge(planted(found=0.9)).status is Status.WEAKER
        assert STUDY.judge(planted(alarmed=0.05)).status is Status.WEAKER
        assert STUDY.judge(planted(seconds=2.0)).status is Status.INCONCLUSIVE

    def test_nothing_found_and_nothing_there(self) -> None:
        assert STUDY.judge(planted(found=0.0)).status is Status.ABSENT
        assert STUDY.judge(planted(each=0)).status is Status.INCONCLUSIVE

    def test_few_mutants_do_not_confirm(self) -> None:
        assert STUDY.judge(planted(each=1)).status is not Status.CONFIRMED

    def test_the_sentence_and_the_rows(self) -> None:
        verdict = STUDY.judge(planted(found=0.5))
        assert "finds 600 of 1200 mutants, of which loss.backward() raises on 240" in verdict.sentence
        assert {f"found: {kind}" for kind in MUTATIONS} <= {check.name for check in verdict.checks}
        assert sum(check.primary for check in verdict.checks) == 3

    def test_figures_show_every_kind(self) -> None:
        drawn = " ".join(figure.svg for figure in STUDY.figures(planted()))
        assert all(kind in drawn for kind in (*MUTATIONS, UNMUTATED, *HARMLESS))


def test_declared_power_is_high() -> None:
    laptop = STUDY.power(STUDY.scales["laptop"])
    assert min(laptop.values()) > 0.9
