"""What every claim must do, whatever it claims: found without registration, run at smoke scale, judged, drawn."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from torchstone.lab import Status, Study, discover, run_study

STUDIES = discover()


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
class TestEveryStudy:
    def test_runs_at_smoke_scale_and_is_not_judged_there(self, study: Study, tmp_path: Path) -> None:
        run = run_study(study, "smoke", out=tmp_path, jobs=0)
        assert run.verdict is None
        assert len(run.records) >= 2

        verdict = study.judge(run.records)
        assert verdict.status in Status
        assert any(check.primary for check in verdict.checks)
        for figure in study.figures(run.records):
            assert ElementTree.fromstring(figure.svg).tag.endswith("svg")
            assert figure.title
            assert figure.caption

    def test_its_trials_are_fixed_by_the_scale(self, study: Study) -> None:
        for scale in study.scales.values():
            assert list(study.trials(scale)) == list(study.trials(scale))

    def test_has_the_three_scales_and_a_source(self, study: Study) -> None:
        assert set(study.scales) == {"smoke", "laptop", "paper"}
        assert study.claim.sentence.endswith(".")
        assert study.claim.method
        assert study.claim.paper.year > 1900
