import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.similarity import compare_models, identify, match_layers


def similarity(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows)


def test_all_layers_found():
    match = identify({(i, j): torch.eye(5) for i in range(4) for j in range(4) if i < j}, networks=4)
    assert (match.accuracy, match.within_one, match.chance) == (1.0, 1.0, 0.2)
    assert match.kendall_tau == pytest.approx(1.0)
    assert match.standard_error == 0.0
    assert torch.equal(match.leave_one_out, torch.ones(4, dtype=torch.float64))


def test_both_directions_count():
    # rows of network 0 find 0, 0, 2; its columns, the rows of network 1, find 0, 1, 2
    matrix = similarity([0.9, 0.1, 0.1], [0.8, 0.7, 0.0], [0.0, 0.0, 0.5])
    match = identify({(0, 1): matrix}, networks=2)
    assert match.accuracy == pytest.approx(5 / 6)
    assert match.per_layer.tolist() == [1.0, 0.5, 1.0]
    assert match.within_one == 1.0


def test_ties_and_nan_are_misses():
    tied = similarity([0.5, 0.5, 0.5], [0.0, 0.6, 0.0], [0.0, 0.0, 0.6])
    assert identify({(0, 1): tied, (1, 0): tied}, networks=2).per_layer.tolist() == [0.0, 1.0, 1.0]
    broken = torch.eye(3)
    broken[1] = torch.nan
    match = identify({(0, 1): broken, (1, 0): broken}, networks=2)
    assert match.per_layer.tolist() == [1.0, 0.0, 1.0]
    assert match.within_one == pytest.approx(2 / 3)


def test_kendall_tau_of_a_reversal_and_of_a_single_answer():
    assert identify({(0, 1): torch.eye(4).flip(1)}, networks=2).kendall_tau == pytest.approx(-1.0)
    single = torch.zeros(4, 4)
    single[:, 2] = 1.0
    assert identify({(0, 1): single, (1, 0): single}, networks=2).kendall_tau == 0.0


def test_kendall_tau_does_not_rank_layers_that_are_not_found():
    reversal = torch.eye(4).flip(1)
    for missing in (torch.nan, 0.5):  # undefined, or all tied
        matrix = reversal.clone()
        matrix[3] = missing  # its counterpart would be layer 0
        assert identify({(0, 1): matrix, (1, 0): matrix}, networks=2).kendall_tau == pytest.approx(-3 / 6)
    nothing = torch.full((4, 4), torch.nan)
    assert identify({(0, 1): nothing, (1, 0): nothing}, networks=2).kendall_tau == 0.0


def test_symmetrising_adds_the_transpose_of_the_way_back():
    there, back = similarity([0.6, 0.5], [0.5, 0.4]), similarity([0.6, 0.4], [0.4, 0.7])
    assert identify({(0, 1): there, (1, 0): back}, networks=2).accuracy == 0.75
    assert identify({(0, 1): there, (1, 0): back}, networks=2, symmetrise=True).accuracy == 1.0


@given(st.integers(0, 1000))
def test_the_jackknife_leaves_networks_out(seed):
    source = torch.Generator().manual_seed(seed)
    matrices = {(i, j): torch.rand(4, 4, generator=source) for i in range(4) for j in range(4) if i < j}
    match = identify(matrices, networks=4)
    without_last = {pair: matrix for pair, matrix in matrices.items() if 3 not in pair}
    assert match.leave_one_out[3] == identify(without_last, networks=3).accuracy
    spread = (match.leave_one_out - match.leave_one_out.mean()).square().sum()
    assert match.standard_error == pytest.approx(float((3 / 4 * spread).sqrt()))


def test_two_networks_have_no_standard_error():
    match = identify({(0, 1): torch.eye(3)}, networks=2)
    assert match.leave_one_out.isnan().all()
    assert match.standard_error != match.standard_error


@pytest.mark.parametrize(
    ("matrices", "networks", "options", "message"),
    [
        ({}, 1, {}, "at least 2"),
        ({(0, 1): torch.eye(3)}, 3, {}, r"lacks the pair \(0, 2\)"),
        ({(0, 1): torch.eye(3)}, 2, {"symmetrise": True}, "needs both"),
        ({(0, 1): torch.ones(3, 4)}, 2, {}, r"\(L, L\)"),
        ({(0, 1): torch.eye(1)}, 2, {}, "L ≥ 2"),
    ],
)
def test_matrices_that_cannot_be_scored(matrices, networks, options, message):
    with pytest.raises(ValueError, match=message):
        identify(matrices, networks, **options)


@pytest.mark.parametrize("metric", ["cka", "linear_regression"])
def test_match_layers_scores_the_comparisons_of_all_pairs(mlp, vectors, metric):
    models, x = [mlp(seed) for seed in range(3)], vectors(60)
    match = match_layers(models, x, metric, ["0", "2", "3"], batch_size=20)
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    layers = ["0", "2", "3"]
    matrices = {
        (i, j): compare_models(models[i], models[j], x, layers, layers, [metric], batch_size=20).matrix()
        for i, j in pairs
    }
    expected = identify(matrices, 3, symmetrise=metric == "linear_regression")
    assert match.accuracy == expected.accuracy
    assert torch.equal(match.leave_one_out, expected.leave_one_out)
    assert "of layers identified" in str(match)


def test_match_layers_needs_one_architecture(mlp, vectors):
    with pytest.raises(ValueError, match="one architecture"):
        match_layers([mlp(0), torch.nn.Sequential(torch.nn.Identity())], vectors())
    with pytest.raises(ValueError, match="at least two"):
        match_layers([mlp(0)], vectors())
