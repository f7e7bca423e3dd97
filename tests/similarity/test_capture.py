import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from torchstone.similarity import UnknownLayerError, capture, compare_models, extract, list_layers


class Twice(nn.Module):
    """Calls one module twice, returns a tuple, and overwrites an output in place."""

    def __init__(self, first: nn.Module) -> None:
        super().__init__()
        self.first, self.relu, self.unused = first, nn.ReLU(), nn.Tanh()
        self.both = Both()

    def forward(self, x):
        hidden = self.relu(self.first(x))
        hidden += 100.0
        return self.both(self.relu(hidden))


class Both(nn.Module):
    def forward(self, x):
        return {"sum": x.sum(1, keepdim=True), "all": (x, x * 2)}


@pytest.fixture
def twice(mlp):
    return Twice(mlp()[0])


def test_layers_are_listed_in_the_order_of_definition(twice):
    assert list_layers(twice) == ["first", "relu", "unused", "both"]
    assert list_layers(twice.first) == ["Linear"]


def test_extract_gives_what_the_layers_put_out(mlp, vectors):
    model, x = mlp(), vectors()
    found = extract(model, x, batch_size=16)
    with torch.no_grad():
        first = model[0](x)
        last = model(x)
    assert list(found) == ["0", "1", "2", "3"]
    assert torch.allclose(found["0"], first)
    assert torch.allclose(found["1"], first.relu())
    assert torch.allclose(found["3"], last)


def test_an_inplace_operation_afterwards_changes_nothing(mlp, vectors):
    found = extract(mlp(), vectors(), ["0"])["0"]
    assert found.min() < 0  # the in-place ReLU behind it would have left none


def test_a_module_called_twice_has_two_names(twice, vectors):
    found = extract(twice, vectors(), ["relu"])
    assert list(found) == ["relu#0", "relu#1"]
    assert torch.allclose(found["relu#1"], found["relu#0"] + 100)
    assert list(extract(twice, vectors(), ["relu#1", "first"])) == ["relu#1", "first"]


def test_default_layers_are_the_leaves_that_were_called(twice, vectors):
    assert list(extract(twice, vectors())) == ["first", "relu#0", "relu#1", "both"]


@pytest.mark.parametrize(
    ("select", "width"),
    [(None, 1), ("sum", 1), (lambda output: output["all"][1], 12)],
    ids=["first", "key", "callable"],
)
def test_outputs_that_are_no_tensors(twice, vectors, select, width):
    assert extract(twice, vectors(), ["both"], select=select)["both"].shape == (40, width)


def test_select_that_finds_nothing_says_so(twice, vectors):
    with pytest.raises(ValueError, match="finds nothing in the dict of layer 'both'"):
        extract(twice, vectors(), ["both"], select="nothing")


def test_the_model_is_as_it_was(mlp, vectors):
    model = mlp()
    model.train()
    model[1].eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    extract(model, vectors())
    assert [module.training for module in model.modules()] == [True, True, False, True, True]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_hooks_come_off_when_the_model_fails(mlp):
    model = mlp()
    with pytest.raises(RuntimeError), capture(model, ["0"]):
        model(torch.zeros(2, 99))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert model.training


def test_capture_keeps_the_last_pass_in_eval_mode():
    model = nn.Sequential(nn.Dropout(0.5), nn.Identity())
    with capture(model) as outputs:
        model(torch.zeros(2, 3))
        model(torch.ones(4, 3))
    assert torch.equal(outputs["0"], torch.ones(4, 3))


def test_unknown_layer_is_a_key_error_with_close_names(twice, vectors):
    with pytest.raises(KeyError, match="Did you mean 'first'"):
        extract(twice, vectors(), ["frist"])
    with pytest.raises(UnknownLayerError, match="list_layers"):
        extract(twice, vectors(), ["conv*"])
    with pytest.raises(UnknownLayerError, match="'unused' was not called"):
        extract(twice, vectors(), ["unused"])


def test_patterns(mlp, vectors):
    model = nn.Sequential(mlp(), nn.Tanh())
    assert list(extract(model, vectors(), ["0.[02]", "1"])) == ["0.0", "0.2", "1"]
    with pytest.raises(TypeError, match="sequence of names"):
        extract(model, vectors(), "0.*")


class Tied(nn.Module):
    """Encoder and decoder share a projection, as language models share embedding and output weights."""

    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"proj": mlp[0], "act": nn.ReLU()})
        self.decoder = nn.ModuleDict({"proj": mlp[0], "act": nn.Tanh()})

    def forward(self, x):
        return self.decoder["act"](self.encoder["act"](self.encoder["proj"](x)))


def test_a_tied_module_is_found_by_any_name_and_listed_once(mlp, vectors):
    model, x = Tied(mlp()), vectors()
    assert list_layers(model) == ["encoder", "encoder.proj", "encoder.act", "decoder", "decoder.act"]
    assert list(extract(model, x)) == ["encoder.proj", "encoder.act", "decoder.act"]
    assert list(extract(model, x, ["*.proj"])) == ["encoder.proj"]
    assert list(extract(model, x, ["decoder.*"])) == ["decoder.proj", "decoder.act"]
    both = extract(model, x, ["decoder.proj", "encoder.proj"])
    assert list(both) == ["decoder.proj", "encoder.proj"]
    assert torch.equal(both["decoder.proj"], both["encoder.proj"])
    with capture(model, ["decoder.proj", "*"]):
        assert len(model.decoder["proj"]._forward_hooks) == 2  # one for each name asked for
    with capture(model):
        assert len(model.decoder["proj"]._forward_hooks) == 1
    with pytest.raises(UnknownLayerError, match="names all 5 of them"):
        extract(model, x, ["nothing"])


def test_wrapped_models_are_unwrapped(mlp, vectors):
    model = mlp()
    assert list_layers(nn.DataParallel(model)) == list_layers(model)
    assert torch.equal(extract(nn.DataParallel(model), vectors())["2"], extract(model, vectors())["2"])


class Named(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, pixels):
        return self.layer(pixels)


def test_every_kind_of_loader_gives_the_same(vectors):
    x, model = vectors(), Named()
    labels = torch.arange(40)
    loaders = [
        x,
        DataLoader(TensorDataset(x, labels), batch_size=7, generator=torch.Generator()),
        list(x.split(9)),
        [{"pixels": part, "labels": None} for part in x.split(11)],
        ((part, "label") for part in x.split(8)),
    ]
    for loader in loaders:
        assert torch.equal(extract(model, loader)["layer"], x)
    assert extract(model, x, batch_size=8, max_batches=2)["layer"].shape == (16, 6)


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        (lambda x: [], "no example"),
        (lambda x: x[:0], "no example"),
        (lambda x: 3, "iterable of batches"),
        (lambda x: [("a", x)], "no input tensor"),
        (lambda x: (DataLoader(x), DataLoader(x)), "one loader"),
        (lambda x: [{"image": x}], "forward takes 'pixels'"),
    ],
)
def test_loaders_that_cannot_be_used(vectors, loader, message):
    with pytest.raises((ValueError, TypeError), match=message):
        extract(Named(), loader(vectors()))


def layer_gives(output, **options):
    model = nn.Sequential(nn.Identity())
    return extract(model, [output], ["0"], **options)["0"]


def test_reductions_of_maps_and_tokens(vectors):
    maps = vectors(2, 3 * 4 * 5).view(2, 3, 4, 5)
    tokens = vectors(2, 7 * 3).view(2, 7, 3)
    assert torch.equal(layer_gives(maps), maps.flatten(1))
    assert torch.allclose(layer_gives(maps, reduce="mean"), maps.mean((2, 3)))
    assert torch.allclose(layer_gives(maps, reduce="gap"), maps.mean((2, 3)))
    assert torch.equal(layer_gives(maps, reduce="spatial")[6], maps[0, :, 1, 1])
    assert torch.allclose(layer_gives(tokens, reduce="mean"), tokens.mean(1))
    assert torch.allclose(layer_gives(tokens, reduce="gap"), tokens.mean(2))
    assert torch.equal(layer_gives(tokens, reduce="cls"), tokens[:, 0])
    assert torch.equal(layer_gives(tokens, reduce=-1), tokens[:, -1])
    assert torch.equal(layer_gives(tokens, reduce="tokens"), tokens.view(14, 3))
    assert torch.equal(layer_gives(tokens, reduce=lambda output: output[:, 2] * 2), tokens[:, 2] * 2)
    assert layer_gives(torch.zeros(5)).shape == (5, 1)


class Reader(nn.Module):
    """Embedded tokens, and a layer on each."""

    def __init__(self, mlp: nn.Module) -> None:
        super().__init__()
        self.embed, self.layer = nn.Identity(), mlp[0]

    def forward(self, tokens):
        return self.layer(self.embed(tokens))


def test_a_callable_leaves_padding_out_by_the_mask_of_the_batch(mlp, vectors):
    lengths = [(3, 5, 1, 4), (2, 2, 6, 6)]  # 13 and 16 tokens
    tokens = vectors(48).view(2, 4, 6, 6)
    masks = torch.tensor([[[i < length for i in range(6)] for length in part] for part in lengths])
    batch: dict[str, torch.Tensor] = {}

    def loader():
        for part, mask in zip(tokens, masks, strict=True):
            batch.update(tokens=part, mask=mask)
            yield batch

    def real(output):
        return output[batch["mask"]]

    a, b = Reader(mlp(0)), Reader(mlp(1))
    found = extract(a, loader(), reduce=real)
    assert torch.equal(found["embed"], tokens[masks])
    with torch.no_grad():
        assert torch.allclose(found["layer"], a(tokens[masks]))
    result = compare_models(a, b, loader(), metrics=["cka", "procrustes"], reduce=real)
    assert (result.n, result.batches) == (29, 2)
    rows = [tokens[i][masks[i]] for i in range(2)]  # the same tokens, as examples of their own
    expected = compare_models(a, b, rows, metrics=["cka", "procrustes"])
    for metric in result.metrics:
        assert torch.allclose(result.matrix(metric), expected.matrix(metric), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "reduce", "message"),
    [
        ((2, 3, 4, 4), "cls", "no tokens"),
        ((2, 7, 3), 7, "no token 7"),
        ((2, 3), "tokens", "tokens"),
        ((2, 3), "spatial", "no positions"),
        ((2, 3), "gpa", "Did you mean 'gap'"),
        ((2, 3, 4), lambda output: output, "must give a matrix"),
        ((2, 3), 1.5, "`reduce` must be"),
    ],
)
def test_reductions_that_do_not_fit(shape, reduce, message):
    with pytest.raises((ValueError, TypeError), match=message):
        layer_gives(torch.zeros(shape), reduce=reduce)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_other_number_types_come_as_float32(dtype):
    assert layer_gives(torch.ones(2, 3, dtype=dtype)).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64])
def test_what_is_not_a_real_number_is_refused(dtype):
    with pytest.raises(ValueError, match="Layer '0' puts out"):
        layer_gives(torch.ones(2, 3, dtype=dtype))


def test_a_layer_without_a_row_for_each_example_is_refused_by_name_and_left_out_by_default():
    class Transposed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.turned, self.straight = nn.Identity(), nn.Identity()

        def forward(self, x):
            self.turned(x.T)
            return self.straight(x)

    with pytest.raises(ValueError, match="'turned' puts out"):
        extract(Transposed(), torch.zeros(5, 3), ["turned"])
    assert list(extract(Transposed(), torch.zeros(5, 3))) == ["straight"]


def test_sequences_of_different_length_need_another_reduction():
    model = nn.Sequential(nn.Identity())
    sequences = [torch.ones(8, 5, 3), torch.ones(8, 7, 3)]
    with pytest.raises(ValueError, match=r"Layer '0' has \[15, 21\] features, depending on the batch"):
        extract(model, sequences)
    with pytest.raises(ValueError, match=r"Layer '0' has \[15, 21\] features"):
        compare_models(model, model, sequences, metrics=["procrustes"])
    assert extract(model, sequences, reduce="mean")["0"].shape == (16, 3)
