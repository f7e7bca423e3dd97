"""The claim about facets: its rule says what it must of planted exponents, and its ingredients are what it says."""

import math
from pathlib import Path

import pytest
import torch

from torchstone.lab import Context, Record, Status, Trial
from torchstone.spectral import relu_regions_2d
from torchstone.spectral.function import function_of
from torchstone.studies.spectral.spectrum_decays_with_facets import (
    BOX,
    EXPECTED,
    LAWS,
    SpectrumDecaysWithFacets,
    _heights,
    _network,
    _strongest_normals,
)

STUDY = SpectrumDecaysWithFacets()
SEEDS = 5


def planted(off: float = 0.0, noise: float = 0.02, only: str = "") -> list[Record]:
    """Records whose exponents are the theory's, plus ``off`` (of one arm, or of all), plus noise."""
    generator = torch.Generator().manual_seed(0)
    records = []
    for arm, exponents in EXPECTED.items():
        for seed in range(SEEDS):
            metrics = {"regions": 300.0}
            for law, exponent in zip(LAWS, exponents, strict=True):
                error = noise * float(torch.randn((), generator=generator)) + (off if only in ("", arm) else 0.0)
                metrics |= {law: exponent + error, f"{law}-near": -2.5}
            curves = {f"{law}-k": torch.logspace(0, 6, 30) for law in LAWS}
            curves |= {f"{law}-height": curves[f"{law}-k"] ** -2 for law in LAWS}
            records.append(Record(Trial(arm, seed), metrics, curves, 1.0))
    return records


def test_the_law_is_confirmed() -> None:
    verdict = STUDY.judge(planted())
    assert verdict.status is Status.CONFIRMED
    assert sum(check.primary for check in verdict.checks) == 6


@pytest.mark.parametrize("only", ["", "random", "trained", "jump"])
@pytest.mark.parametrize("off", [-1.0, 0.3, 1.0])
def test_another_exponent_is_not(off: float, only: str) -> None:
    assert STUDY.judge(planted(off, only=only)).status is Status.OPPOSITE


def test_noise_is_inconclusive() -> None:
    assert STUDY.judge(planted(noise=0.25)).status is Status.INCONCLUSIVE


def test_a_trial_that_was_lost_is_inconclusive() -> None:
    records = planted()
    broken = Record(records[0].trial, dict(records[0].metrics) | {"generic": math.nan}, records[0].artifacts, 1.0)
    assert STUDY.judge([broken, *records[1:]]).status is Status.INCONCLUSIVE


def test_figures_are_drawn() -> None:
    assert len(STUDY.figures(planted())) == 2


class TestIngredients:
    trial = Trial("random", 7, {"width": 4, "directions": 3, "steps": 0})

    def test_the_tent_is_zero_on_the_box_and_the_network_inside(self, tmp_path: Path) -> None:
        tent = _network(self.trial, Context(torch.device("cpu"), tmp_path))
        edge = torch.linspace(-1.25, 1.25, 51)
        side = torch.full_like(edge, 1.25)
        boundary = torch.cat([torch.stack(z, 1) for z in ((edge, side), (side, edge), (edge, -side), (-side, edge))])
        inside = 0.6 * (torch.rand(100, 2, generator=torch.Generator().manual_seed(0)) - 0.5)
        with torch.no_grad():
            assert tent(boundary).abs().max() == 0
            assert torch.allclose(tent(inside), tent.net(inside)[:, 0] - tent.floor)
            assert tent(inside).min() > 0

    def test_the_normals_are_unit_vectors_along_which_the_gradient_jumps(self, tmp_path: Path) -> None:
        tent = _network(self.trial, Context(torch.device("cpu"), tmp_path))
        pieces = relu_regions_2d(tent, BOX)
        normals = _strongest_normals(function_of(tent, [2]), pieces, 3)
        assert torch.allclose(normals.norm(dim=1), torch.ones(len(normals)).double())
        first = tent.net[0].weight.detach().double()  # facets inside that all lines of the first layer make
        cosines = (normals @ (first / first.norm(dim=1, keepdim=True)).T).abs().max(1).values
        assert cosines.max() > 1 - 1e-6

    def test_the_control_jumps_where_the_network_bends(self, tmp_path: Path) -> None:
        tent = _network(self.trial, Context(torch.device("cpu"), tmp_path))
        pieces = relu_regions_2d(tent, BOX)
        direction = torch.tensor([[0.6, 0.8]], dtype=torch.float64)
        heights = {
            arm: _heights(arm, pieces, direction, torch.Generator().manual_seed(0))[1][0, -50:].max()
            for arm in ("random", "jump")
        }
        assert heights["jump"] > 1e3 * heights["random"]
