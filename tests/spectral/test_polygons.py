"""The transform of a polygon against the square's, quadrature, and what every transform must obey."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from torchstone.spectral import decay_exponent, polygon_indicator_ft
from torchstone.spectral.splitting import split, stacked

QUADRILATERAL = torch.tensor([[0.0, 0.0], [2.0, 0.3], [1.5, 1.7], [-0.4, 1.1]], dtype=torch.float64)
K = torch.tensor([[3.0, -2.0], [0.0, 5.0], [0.3, 0.2], [0.0, 0.0], [1e-9, 0.0], [40.0, 7.0]], dtype=torch.float64)


def by_columns(corners: Tensor, k: Tensor) -> complex:
    """The integral over a convex polygon, x by x with Gauss points, the integral over y in closed form."""
    from scipy.integrate import quad

    points = corners.tolist()
    edges = list(zip(points, points[1:] + points[:1], strict=True))

    def column(x: float) -> complex:
        ys = [
            a[1] + (b[1] - a[1]) * (x - a[0]) / (b[0] - a[0]) for a, b in edges if min(a[0], b[0]) < x < max(a[0], b[0])
        ]
        low, high = min(ys), max(ys)
        u = float(k[1]) * (high - low) / 2
        inner = (high - low) * (math.sin(u) / u if u else 1.0)
        phase = -(float(k[0]) * x + float(k[1]) * (low + high) / 2)
        return inner * complex(math.cos(phase), math.sin(phase))

    breaks = sorted({p[0] for p in points})
    parts = pairwise(breaks)
    return sum(
        complex(*(quad(lambda x, f=f: f(column(x)), a, b, epsabs=1e-13, epsrel=1e-12, limit=200)[0]
                  for f in (lambda z: z.real, lambda z: z.imag)))
        for a, b in parts
    )  # fmt: skip


class TestIndicator:
    def test_a_rectangle(self) -> None:
        corners = torch.tensor([[-1.0, -2.0], [1.0, -2.0], [1.0, 2.0], [-1.0, 2.0]])
        expected = 8 * torch.sinc(K[:, 0] / torch.pi) * torch.sinc(2 * K[:, 1] / torch.pi)
        assert torch.allclose(polygon_indicator_ft(corners, K), expected + 0j, atol=1e-13)

    def test_a_quadrilateral_against_quadrature(self) -> None:
        expected = torch.tensor([by_columns(QUADRILATERAL, k) for k in K], dtype=torch.complex128)
        assert torch.allclose(polygon_indicator_ft(QUADRILATERAL, K), expected, atol=1e-11, rtol=0)

    @given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-math.pi, math.pi))
    def test_follows_translation_and_rotation(self, dx: float, dy: float, angle: float) -> None:
        shift = torch.tensor([dx, dy], dtype=torch.float64)
        turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]).double()
        expected = polygon_indicator_ft(QUADRILATERAL, K @ turn) * torch.exp(-1j * (K @ shift))
        assert torch.allclose(polygon_indicator_ft(QUADRILATERAL @ turn.T + shift, K), expected, atol=1e-11)

    def test_does_not_mind_the_way_round_nor_repeated_corners(self) -> None:
        expected = polygon_indicator_ft(QUADRILATERAL, K)
        assert torch.allclose(polygon_indicator_ft(QUADRILATERAL.flip(0), K), expected, atol=1e-13)
        assert torch.allclose(polygon_indicator_ft(QUADRILATERAL[[0, 0, 1, 2, 3, 3]], K), expected, atol=1e-13)

    def test_an_l_shape_is_the_sum_of_its_parts(self) -> None:
        corners = torch.tensor([[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]]).double()
        lower, upper = corners[[0, 1, 2, 5]].clone(), corners[[0, 3, 4, 5]].clone()
        lower[3], upper[0], upper[1] = (torch.tensor(p).double() for p in ([0, 1], [0, 1], [1, 1]))
        expected = polygon_indicator_ft(lower, K) + polygon_indicator_ft(upper, K)
        assert torch.allclose(polygon_indicator_ft(corners, K), expected, atol=1e-12)

    def test_both_formulas_agree_where_one_takes_over_from_the_other(self) -> None:
        radius = float((QUADRILATERAL - QUADRILATERAL.mean(0)).norm(dim=1).max())
        below, above = (
            polygon_indicator_ft(QUADRILATERAL, torch.tensor([[z / radius, 0]])) for z in (1 - 1e-13, 1 + 1e-13)
        )
        assert torch.allclose(below, above, atol=1e-12)

    def test_falls_like_one_over_k_along_a_normal_and_squared_elsewhere(self) -> None:
        k = torch.logspace(2, 5, 600, dtype=torch.float64)
        edge = QUADRILATERAL[1] - QUADRILATERAL[0]
        normal = torch.stack([edge[1], -edge[0]]) / edge.norm()
        for direction, slope in ((normal, -1), (torch.tensor([0.6, 0.8]).double(), -2)):
            heights = polygon_indicator_ft(QUADRILATERAL, k[:, None] * direction).abs()
            assert decay_exponent(k, heights) == pytest.approx(slope, abs=0.05)

    @pytest.mark.parametrize("corners", [torch.zeros(2, 2), torch.zeros(3, 3), torch.full((3, 2), math.nan)])
    def test_bad_corners(self, corners: Tensor) -> None:
        with pytest.raises(ValueError, match="vertices must be finite"):
            polygon_indicator_ft(corners, K)

    def test_bad_frequencies(self) -> None:
        with pytest.raises(ValueError, match="k must have shape"):
            polygon_indicator_ft(QUADRILATERAL, torch.zeros(2))


class TestSplit:
    def test_a_square_by_its_diagonal_and_by_a_line_through_two_edges(self) -> None:
        square = torch.tensor([[[0, 0], [1, 0], [1, 1], [0, 1]]] * 2).double()
        levels = torch.tensor([[0, 1, 0, -1], [-1, 1, 1, -1]]).double()
        above, below = split(square, levels)
        assert above.tolist() == [[[0, 0], [1, 0], [1, 1], [1, 1]], [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]]
        assert below.tolist() == [[[0, 0], [1, 1], [0, 1], [0, 1]], [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
        assert stacked([square[:, :3], square]).shape == (4, 4, 2)
