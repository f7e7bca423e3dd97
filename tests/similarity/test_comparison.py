import json
import re

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from torchstone.files import DamagedFileError, write_tensors
from torchstone.similarity import Comparison, SimilarityWarning, compare_models, heat_map


@pytest.fixture
def comparison(mlp, vectors):
    return compare_models(mlp(0), mlp(1), vectors(), metrics=("cka", "hsic", "procrustes"), batch_size=10)


def test_saving_and_loading_gives_it_back(comparison, tmp_path):
    path = tmp_path / "comparison.safetensors"
    comparison.save(path)
    loaded = Comparison.load(path)
    assert str(loaded) == str(comparison)
    assert loaded.layers_a == comparison.layers_a
    assert loaded.features_b == comparison.features_b
    for metric in comparison.metrics:
        assert torch.equal(loaded.matrix(metric), comparison.matrix(metric))
    for ends in zip(loaded.interval("cka"), comparison.interval("cka"), strict=True):
        assert torch.equal(*ends)


def test_what_is_no_saved_comparison_is_refused(tmp_path, comparison):
    other, torn = tmp_path / "other", tmp_path / "torn"
    write_tensors(other, {"x": torch.zeros(2)})
    comparison.save(torn)
    torn.write_bytes(torn.read_bytes()[:-8])
    for path, message in [(other, "no comparison"), (torn, "not a whole")]:
        with pytest.raises(DamagedFileError, match=message):
            Comparison.load(path)
    with pytest.raises(FileNotFoundError):
        Comparison.load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "change",
    [
        {"n": None},
        {"n": "many"},
        {"metrics": None},
        {"metrics": []},
        {"metrics": 3},
        {"metrics": ["no such metric"]},
        {"metrics": ["cka", "pwcca"]},
        {"layers_a": ["0"]},
        {"features_b": [1]},
        {"stranger": 1},
        "[]",
        "not JSON",
        "",
        None,
    ],
)
def test_a_header_that_says_something_else_is_refused(comparison, tmp_path, change):
    path = tmp_path / "comparison.safetensors"
    comparison.save(path)
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    described = json.loads(metadata.pop("comparison"))
    if isinstance(change, dict):
        kept = {name: value for name, value in (described | change).items() if value is not None}
        metadata["comparison"] = json.dumps(kept)
    elif change is not None:
        metadata["comparison"] = change
    save_file(tensors, path, metadata)
    with pytest.raises(
        DamagedFileError, match=r"comparison\.safetensors (does not describe|is a safetensors file, but)"
    ):
        Comparison.load(path)


def test_the_text_says_what_a_reader_must_know(comparison):
    text = repr(comparison)
    assert "n = 40 examples in 4 batches" in text
    assert "d = 8 to 12 features, d/n = 0.2 to 0.3" in text
    assert "debiased" in text
    assert "jackknife" in text
    row, column = 2, comparison.best_match("cka")[2]
    low, high = (end[row, column] for end in comparison.interval("cka"))
    assert f"2 → {column}  {comparison.matrix('cka')[row, column]:.3f} [{low:.3f}, {high:.3f}]" in text


def test_intervals_hold_the_value(comparison):
    low, high = comparison.interval("cka")
    assert (low < comparison.matrix("cka")).all()
    assert (comparison.matrix("cka") < high).all()


def test_an_unknown_metric_names_the_known_ones(comparison):
    with pytest.raises(KeyError, match="cka, hsic, procrustes"):
        comparison.matrix("pwcca")


def test_the_page_stands_alone(comparison, tmp_path):
    page = comparison.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == page
    assert page.count("<svg") == 3
    assert not re.search(r"<script|<link|<img|@import|src=|url\((?!#)", page)
    assert comparison.to_html() == page


def test_the_page_escapes_names(mlp, vectors):
    model = mlp()
    model.add_module("<b>&", torch.nn.Identity())
    page = compare_models(model, model, vectors(), ["<b>&"], ["0"]).to_html()
    assert "&lt;b&gt;&amp;" in page
    assert "<b>" not in page


def test_the_picture_has_model_a_from_the_bottom_up_and_model_b_across(comparison):
    axes, bar = comparison.plot().axes
    image = axes.images[0]
    assert torch.equal(torch.tensor(image.get_array().data), comparison.matrix("cka"))
    assert image.origin == "lower"
    assert image.get_cmap().name == "magma"
    assert image.get_clim() == (0.0, 1.0)
    assert axes.get_ylabel().endswith("(A)")
    assert axes.get_xlabel().endswith("(B)")
    assert [label.get_text() for label in axes.get_yticklabels()] == list(comparison.layers_a)
    assert bar.get_ylabel() == "cka"
    assert {text.get_text() for text in axes.texts} >= {f"{comparison.matrix('cka')[0, 0]:.2f}"}


def test_many_layers_get_names_and_no_numbers():
    from torchstone.similarity import heat_map

    names = [f"encoder.blocks.{i}.attention.out" for i in range(60)]
    axes = heat_map(torch.eye(60), names, names).axes[0]
    assert not axes.texts
    assert [label.get_text() for label in axes.get_xticklabels()] == [f"{i}.attention.out" for i in range(60)]


def test_a_long_name_keeps_its_end():
    from torchstone.similarity import heat_map

    axes = heat_map(torch.eye(1), ["a" * 60 + ".conv"], ["b"]).axes[0]
    assert axes.get_yticklabels()[0].get_text().endswith(".conv")
    assert len(axes.get_yticklabels()[0].get_text()) == 36


def test_undefined_entries_are_drawn_and_explained(mlp, vectors):
    dead = mlp(0)
    with torch.no_grad():
        dead[0].weight.zero_()
    with pytest.warns(SimilarityWarning):
        result = compare_models(dead, mlp(1), vectors())
    assert "undefined" in str(result)
    assert "grey is undefined" in result.to_html()


def test_hsic_has_digits_at_any_size(mlp, vectors):
    result = compare_models(mlp(0), mlp(1), 1e-3 * vectors(), ["0"], ["0"], metrics=["hsic"])
    value = result.matrix().item()
    assert 0 < value < 1e-6
    assert float(result.entry("hsic", 0, 0)) == pytest.approx(value, rel=0.005)
    written = [text.get_text() for text in result.plot().axes[0].texts]
    assert float(written[0]) == pytest.approx(value, rel=0.05)


def test_a_negative_hsic_is_dark():
    figure = heat_map(torch.tensor([[-0.1]]), ["a"], ["b"], metric="hsic")
    assert figure.axes[0].images[0].get_clim() == (0.0, 1.0)
