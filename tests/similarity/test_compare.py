import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader

from torchstone.similarity import (
    SimilarityWarning,
    UnknownLayerError,
    cka,
    compare_models,
    extract,
    hsic,
    linear_regression,
    match_layers,
)


def test_one_batch_is_cka_of_the_extracted_layers(mlp, vectors):
    a, b, x = mlp(0), mlp(1, width=9), vectors().double()
    a, b = a.double(), b.double()
    result = compare_models(a, b, x, metrics=("cka", "hsic"))
    left, right = extract(a, x), extract(b, x)
    for i, name in enumerate(result.layers_a):
        for j, other in enumerate(result.layers_b):
            assert result.matrix("cka")[i, j] == pytest.approx(float(cka(left[name], right[other])), abs=1e-12)
            assert result.matrix("hsic")[i, j] == pytest.approx(float(hsic(left[name], right[other])), rel=1e-9)


def test_metrics_that_look_at_all_examples_at_once(mlp, vectors):
    a, b, x = mlp(0), mlp(1), vectors(60)
    result = compare_models(a, b, x, ["0"], ["2"], metrics=["linear_regression", "cka"], batch_size=16)
    left, right = extract(a, x)["0"], extract(b, x)["2"]
    assert result.matrix("linear_regression").item() == pytest.approx(float(linear_regression(left, right)), abs=1e-5)
    assert result.metrics == ("linear_regression", "cka")
    with pytest.raises(ValueError, match="not computed batch by batch"):
        result.interval("linear_regression")


@pytest.mark.parametrize("metric", ["cka", "cka_rbf:0.8"])
@given(size=st.integers(4, 21))
def test_a_model_against_itself_is_exactly_one_on_the_diagonal(mlp, vectors, metric, size):
    model = mlp()
    result = compare_models(model, model, vectors(21 * 4)[: size * 4], metrics=[metric], batch_size=size)
    assert torch.equal(result.matrix(metric).diagonal(), torch.ones(4, dtype=torch.float64))
    low, high = result.interval(metric)
    assert torch.equal(low.diagonal(), high.diagonal())


def test_a_model_against_itself_with_other_layers(mlp, vectors):
    model = mlp()
    result = compare_models(model, model, vectors(), ["2", "0"], ["0", "1", "2"], batch_size=10)
    assert result.matrix()[0, 2] == 1.0
    assert result.matrix()[1, 0] == 1.0
    assert result.matrix()[1, 1] < 0.999


def test_a_model_against_itself_runs_once(vectors):
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.calls = nn.Identity(), 0

        def forward(self, x):
            self.calls += 1
            return self.layer(x)

    model = Counting()
    compare_models(model, model, vectors(), batch_size=10)
    assert model.calls == 4


def test_swapping_the_models_transposes_the_matrix(mlp, vectors):
    a, b, x = mlp(0), mlp(1), vectors()
    there, back = compare_models(a, b, x, batch_size=10), compare_models(b, a, x, batch_size=10)
    assert torch.allclose(there.matrix(), back.matrix().mT, atol=1e-6)


def test_the_result_is_the_same_every_time(mlp, vectors):
    first, second = (compare_models(mlp(0), mlp(1), vectors(), batch_size=10).matrix() for _ in range(2))
    assert torch.equal(first, second)


def test_shuffled_loaders_pair_the_same_examples(mlp, vectors):
    loader = DataLoader(vectors(), batch_size=10, shuffle=True, generator=torch.Generator().manual_seed(5))
    result = compare_models(mlp(0), mlp(0), loader)
    assert torch.allclose(result.matrix().diagonal(), torch.ones(4, dtype=torch.float64), atol=1e-6)


def test_a_last_batch_of_fewer_than_four_is_left_out_and_counted(mlp, vectors):
    x = vectors(23)
    with pytest.warns(SimilarityWarning, match="1 batch of fewer than 4"):
        result = compare_models(mlp(0), mlp(1), x, batch_size=10)
    assert (result.n, result.batches, result.skipped) == (20, 2, 1)
    assert torch.equal(result.matrix(), compare_models(mlp(0), mlp(1), x[:20], batch_size=10).matrix())


def test_an_only_batch_of_fewer_than_four_is_an_error(mlp, vectors):
    with pytest.raises(ValueError, match="larger batch size"):
        compare_models(mlp(0), mlp(1), vectors(3))


def test_one_batch_has_no_interval_and_says_why(mlp, vectors):
    with pytest.raises(ValueError, match="there was one batch"):
        compare_models(mlp(0), mlp(1), vectors()).interval()


@pytest.mark.parametrize("batches", [2, 3])
def test_intervals_of_few_batches_end_where_the_index_does(mlp, vectors, batches):
    result = compare_models(mlp(0), mlp(1), vectors(5 * batches), metrics=["cka", "cka_rbf", "hsic"], batch_size=5)
    for metric in ("cka", "cka_rbf"):
        low, high = result.interval(metric)
        assert max(-low.min(), high.max()) == 1
        assert ((low <= result.matrix(metric)) & (result.matrix(metric) <= high)).all()
    low, high = result.interval("hsic")
    assert torch.allclose((low + high) / 2, result.matrix("hsic"))  # of any size, so not clipped


def test_a_constant_layer_is_nan_and_named(mlp, vectors):
    dead = mlp(0)
    with torch.no_grad():
        dead[0].weight.zero_()
    with pytest.warns(SimilarityWarning, match="constant on these 40 examples") as warned:
        result = compare_models(dead, mlp(1), vectors(), ["0"], batch_size=20)
    assert "Layer '0' of Sequential" in str(warned[0].message)
    assert result.matrix().isnan().all()
    assert result.best_match() == [None]


def test_a_layer_is_named_once_whatever_the_metrics_and_pairs(mlp, vectors):
    dead = mlp(0)
    with torch.no_grad():
        dead[0].weight.zero_()
    metrics = ["cka", "hsic", "cka_rbf", "cka_rbf:0.8", "procrustes"]
    with pytest.warns(SimilarityWarning) as warned:
        compare_models(dead, mlp(1), vectors(), ["0"], metrics=metrics)
    assert len(warned) == 1
    with pytest.warns(SimilarityWarning) as warned:
        match_layers([dead, mlp(1), mlp(2)], vectors(), layers=["0", "2"])
    assert [str(warning.message)[:9] for warning in warned] == ["Layer '0'", "Layer '2'"]


def test_coinciding_examples_leave_the_rbf_kernels_undefined_and_are_named_once(mlp, vectors):
    x = torch.zeros(20, 6)
    x[:4] = vectors(4)
    with pytest.warns(SimilarityWarning, match="rbf:0.4 and rbf:0.8 kernel is undefined") as warned:
        result = compare_models(mlp(0), mlp(1), x, ["0"], ["0"], metrics=["cka", "cka_rbf", "cka_rbf:0.8"])
    assert len(warned) == 2  # a layer of each model
    assert result.matrix("cka").isfinite().all()
    assert result.matrix("cka_rbf").isnan().all()
    assert "most of its examples coincide" in result.to_html()


@pytest.mark.parametrize("metric", ["cka", "procrustes"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_activations_that_are_not_finite_are_an_error_that_names_the_layer(mlp, vectors, metric, value):
    x = vectors()
    x[7, 0] = value
    with pytest.raises(ValueError, match="Layer '0' of Sequential puts out NaN"):
        compare_models(mlp(0), mlp(1), x, metrics=[metric])


def test_layers_of_different_sizes_cannot_be_compared_pixel_by_pixel(vectors):
    a, b = nn.Sequential(nn.AvgPool2d(2)), nn.Sequential(nn.AvgPool2d(4))
    x = vectors(8, 64).view(8, 1, 8, 8)
    with pytest.raises(ValueError, match="has 128 rows in this batch, Layer '0' of Sequential 32"):
        compare_models(a, b, x, reduce="spatial")


def test_pixels_as_examples(vectors):
    model = nn.Sequential(nn.AvgPool2d(2))
    assert compare_models(model, model, vectors(8, 64).view(8, 1, 8, 8), reduce="spatial").n == 128


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"metrics": ["ckaa"]}, ValueError, "no metric 'ckaa'"),
        ({"metrics": "cka"}, TypeError, "sequence of names"),
        ({"metrics": []}, TypeError, "sequence of names"),
        ({"layers_a": ["9"]}, UnknownLayerError, "No layer is called '9'"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"max_batches": 0}, ValueError, "max_batches"),
        ({"reduce": "sum"}, ValueError, "reduce"),
    ],
)
def test_wrong_arguments(mlp, vectors, options, error, message):
    with pytest.raises(error, match=message):
        compare_models(mlp(0), mlp(1), vectors(), **options)
    with pytest.raises(TypeError, match=r"torch\.nn\.Module"):
        compare_models(vectors(), mlp(1), vectors())


def test_the_models_are_left_alone(mlp, vectors):
    a, b = mlp(0), mlp(1)
    a[1].eval()
    compare_models(a, b, vectors())
    assert [module.training for module in a.modules()] == [True, True, False, True, True]
    assert not any(module._forward_hooks for model in (a, b) for module in model.modules())


def test_models_go_to_the_device_as_copies(mlp, vectors):
    model = mlp(0)
    with pytest.raises((RuntimeError, NotImplementedError)):  # no values on the meta device
        compare_models(model, model, vectors(), device="meta")
    assert model[0].weight.device.type == "cpu"
    assert model.training


WORKER = """
import json, sys, torch, torch.distributed as distributed
from torch import nn
from torchstone.similarity import compare_models

rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
torch.manual_seed(0)
a, b = (nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4)) for _ in range(2))
batches = list(torch.randn(48, 6).split(8))
result = compare_models(a, b, batches[rank::world])
self = compare_models(a, a, batches[rank::world]).matrix()
low, high = result.interval()
answer = {"n": result.n, "batches": result.batches, "cka": result.matrix().tolist(), "low": low.tolist()}
answer["ones"] = self.diagonal().tolist()
try:
    compare_models(a, b, batches[rank::world], metrics=["procrustes"])
except ValueError as error:
    answer["error"] = str(error)
print(json.dumps(answer))
if world > 1:
    distributed.destroy_process_group()
"""


def answers(world: int, folder: Path) -> list[dict]:
    script = folder / "worker.py"
    script.write_text(WORKER)
    commands = [[sys.executable, str(script), str(rank), str(world), str(folder)] for rank in range(world)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    return [json.loads(process.communicate(timeout=120)[0]) for process in processes]


def test_two_processes_with_half_of_the_batches_each_are_one_with_all(tmp_path):
    (alone,), together = answers(1, tmp_path), answers(2, tmp_path)
    assert together[0] == together[1]
    assert (alone["n"], alone["batches"]) == (together[0]["n"], together[0]["batches"]) == (48, 6)
    for key in ("cka", "low", "ones"):
        assert together[0][key] == alone[key]
    assert alone["ones"] == [1.0, 1.0, 1.0]
    assert "cka, hsic and cka_rbf" in together[0]["error"]


def test_metrics_of_all_examples_name_layers_too(mlp, vectors):
    with pytest.raises(ValueError, match="cca_r2 says nothing here: Layer '1' of Sequential spans"):
        compare_models(mlp(0), mlp(1), vectors(8), metrics=["cca_r2"])


def test_a_layer_that_has_all_examples_equally_alike_is_told(mlp, vectors):
    lookup = torch.nn.Sequential(torch.nn.Identity())
    with pytest.warns(SimilarityWarning, match="Layer '0' of Sequential is constant .* or has those of each batch equ"):
        result = compare_models(lookup, lookup, torch.eye(24) @ torch.full((24, 24), 0.1).fill_diagonal_(0.7))
    assert result.matrix().isnan().all()
