"""Gradient centralization: the projection, and what it conserves under every optimizer."""

import copy
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from torchstone.optim import AdamNC, GradientCentralization, centralize
from torchstone.training import Player, fit


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def built(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make().double()


def net() -> nn.Module:
    return built(
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3),
            nn.GroupNorm(2, 4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(4 * 16, 8),
            nn.ReLU(),
            nn.Linear(8, 3),
        )
    )


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 30) -> None:
    for step in range(steps):
        x, y = randn(8, 2, 6, 6, seed=step), torch.arange(8) % 3
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()


def row_means(model: nn.Module) -> list[Tensor]:
    return [p.detach().flatten(1).mean(1) for p in model.parameters() if p.ndim > 1]


def drift(model: nn.Module, before: list[Tensor]) -> float:
    return max(float((now - then).abs().max()) for now, then in zip(row_means(model), before, strict=True))


shapes = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


class TestCentralize:
    def test_is_the_papers_projection_in_numpy(self) -> None:
        g = randn(6, 5)
        e = np.ones((5, 1)) / np.sqrt(5)
        expected = (np.eye(5) - e @ e.T) @ g.numpy().T  # the paper's layout: a column a unit
        np.testing.assert_allclose(centralize(g).numpy(), expected.T, atol=1e-15)

    @given(shapes, st.integers(0, 2**31))
    def test_is_idempotent_orthogonal_to_ones_and_never_longer(self, shape: tuple[int, ...], seed: int) -> None:
        g = randn(*shape, seed=seed)
        once = centralize(g)
        torch.testing.assert_close(centralize(once), once)
        torch.testing.assert_close(once.flatten(1).sum(1), torch.zeros(shape[0], dtype=g.dtype))
        assert once.norm() <= g.norm() * (1 + 1e-12)

    @given(shapes, st.integers(0, 2**31))
    def test_is_linear(self, shape: tuple[int, ...], seed: int) -> None:
        a, b = randn(*shape, seed=seed), randn(*shape, seed=seed + 1)
        torch.testing.assert_close(centralize(3 * a - b), 3 * centralize(a) - centralize(b))

    def test_a_convolution_is_its_reshaped_linear_layer(self) -> None:
        g = randn(4, 3, 2, 2)
        assert torch.equal(centralize(g).flatten(1), centralize(g.flatten(1)))

    def test_complex_gradients_are_centred_in_both_parts(self) -> None:
        g = torch.complex(randn(3, 4), randn(3, 4, seed=1))
        torch.testing.assert_close(torch.view_as_real(centralize(g)), centralize(torch.view_as_real(g), 1))

    def test_gradcheck(self) -> None:
        assert torch.autograd.gradcheck(centralize, randn(3, 4).requires_grad_())

    def test_does_not_lengthen_the_curvature(self) -> None:
        """Eigenvalues of P H P interlace with those of H."""
        a = randn(5, 5)
        h = a @ a.T
        p = centralize(torch.eye(5, dtype=torch.float64))
        whole, projected = torch.linalg.eigvalsh(h), torch.linalg.eigvalsh(p @ h @ p)
        assert (projected <= whole + 1e-12).all()

    def test_a_weight_standardised_layer_has_a_centred_gradient_already(self) -> None:
        weight = randn(4, 6).requires_grad_()
        std, mean = torch.std_mean(weight, 1, keepdim=True)
        loss = F.cross_entropy(F.linear(randn(5, 6, seed=1), (weight - mean) / std), torch.arange(5) % 4)
        (g,) = torch.autograd.grad(loss, weight)
        assert g.norm() > 0.1
        torch.testing.assert_close(centralize(g), g, atol=1e-14, rtol=0)

    def test_nan_stays_within_its_unit(self) -> None:
        g = torch.tensor([[1.0, float("nan")], [1.0, 3.0]])
        assert torch.equal(centralize(g)[1], torch.tensor([-1.0, 1.0]))

    @pytest.mark.parametrize(
        ("gradient", "dims", "message"),
        [
            (torch.zeros(3), None, "vectors have no fan-in"),
            (torch.zeros(3, 2), (), "at least one"),
            (torch.zeros(3, 2), (1, -1), "different dimensions"),
            (torch.zeros(3, 2), 2, "different dimensions"),
            (torch.zeros(3, 0), None, "a mean over nothing"),
            (torch.eye(2).to_sparse(), None, "is sparse"),
        ],
    )
    def test_refuses(self, gradient: Tensor, dims: Any, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            centralize(gradient, dims)

    def test_refuses_integers(self) -> None:
        with pytest.raises(TypeError, match="floating point or complex"):
            centralize(torch.ones(2, 2, dtype=torch.int64))

    def test_refuses_arrays(self) -> None:
        with pytest.raises(TypeError, match="`gradient` must be a tensor, but is a ndarray"):
            centralize(np.ones((2, 2)))  # type: ignore[arg-type]


CONSERVING = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, weight_decay=0.1),
    "momentum": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, nesterov=True, weight_decay=0.1, foreach=True),
    "dampened": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, dampening=0.5, weight_decay=0.1),
    "fused": lambda p: torch.optim.SGD(p, 0.05, momentum=0.9, weight_decay=0.1, fused=True),
}
UPDATES = {
    "adam": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01, momentum=0.5, weight_decay=0.1),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.01, weight_decay=0.1),
    "adamnc": lambda p: AdamNC(p, 0.01, weight_decay=0.1),
    "adadelta": lambda p: torch.optim.Adadelta(p, 1.0, weight_decay=0.1),
}
MakeOptimizer = Callable[[Any], torch.optim.Optimizer]


class TestInvariants:
    @pytest.mark.parametrize("make", CONSERVING.values(), ids=CONSERVING)
    def test_row_means_stand_still_under_rules_that_are_linear_in_the_gradient(self, make: MakeOptimizer) -> None:
        model = net()
        before = row_means(model)
        optimizer = make(model.parameters())
        GradientCentralization(optimizer, model)
        train(model, optimizer, steps=100)
        assert drift(model, before) < 1e-12

    def test_without_it_they_move(self) -> None:
        model = net()
        before = row_means(model)
        train(model, CONSERVING["momentum"](model.parameters()))
        assert drift(model, before) > 1e-3

    def test_centring_before_the_decay_is_added_lets_them_shrink(self) -> None:
        """The naive order: the means decay by momentum's own recursion instead of standing still."""
        model = net()
        before = row_means(model)
        optimizer = torch.optim.SGD(model.parameters(), 0.1, weight_decay=0.1)
        GradientCentralization(optimizer, model, fold_weight_decay=False)
        train(model, optimizer, steps=20)
        for now, then in zip(row_means(model), before, strict=True):
            torch.testing.assert_close(now, then * (1 - 0.1 * 0.1) ** 20)

    @pytest.mark.parametrize("make", UPDATES.values(), ids=UPDATES)
    def test_centred_updates_conserve_them_under_any_rule(self, make: MakeOptimizer) -> None:
        model = net()
        start = [p.detach().clone() for p in model.parameters()]
        before = row_means(model)
        optimizer = make(model.parameters())
        GradientCentralization(optimizer, model, location="update")
        train(model, optimizer)
        assert drift(model, before) < 1e-12
        assert all((p - p0).abs().max() > 1e-3 for p, p0 in zip(model.parameters(), start, strict=True))

    def test_centred_gradients_do_not_conserve_them_under_adam(self) -> None:
        model = net()
        before = row_means(model)
        optimizer = UPDATES["adam"](model.parameters())
        GradientCentralization(optimizer, model)
        train(model, optimizer)
        assert drift(model, before) > 1e-3

    def test_decoupled_decay_left_outside_shrinks_them_by_its_own_factor(self) -> None:
        model = net()
        before = row_means(model)
        optimizer = torch.optim.AdamW(model.parameters(), 0.01, weight_decay=0.5)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
        GradientCentralization(optimizer, model, location="update", fold_weight_decay=False)
        factor = 1.0
        for _ in range(5):
            factor *= 1 - scheduler.get_last_lr()[0] * 0.5
            train(model, optimizer, steps=1)
            scheduler.step()
        for now, then in zip(row_means(model), before, strict=True):
            torch.testing.assert_close(now, then * factor)

    def test_groups_decay_each_by_its_own_factor(self) -> None:
        model = net()
        before = row_means(model)
        weights, biases = ([p for p in model.parameters() if (p.ndim > 1) == heavy] for heavy in (True, False))
        groups = [{"params": weights[:1]}, {"params": weights[1:], "weight_decay": 0.3}, {"params": biases}]
        optimizer = torch.optim.SGD(groups, 0.05, momentum=0.9, weight_decay=0.1)
        GradientCentralization(optimizer)
        train(model, optimizer)
        assert drift(model, before) < 1e-12
        assert [group["weight_decay"] for group in optimizer.param_groups] == [0.1, 0.3, 0.1]

    def test_a_shift_of_a_layers_input_moves_its_output_as_it_did_untrained(self) -> None:
        model = net()
        layers = [model[0], model[4], model[6]]  # type: ignore[index]
        shapes = [(2, 2, 6, 6), (2, 64), (2, 8)]

        def effects() -> list[Tensor]:
            return [(layer(randn(*s) + 3) - layer(randn(*s))).detach() for layer, s in zip(layers, shapes, strict=True)]

        untrained = effects()
        optimizer = CONSERVING["momentum"](model.parameters())
        GradientCentralization(optimizer, model)
        train(model, optimizer)
        for now, then in zip(effects(), untrained, strict=True):
            torch.testing.assert_close(now, then)


class TestOracles:
    def test_is_descent_on_the_hyperplane(self) -> None:
        """With w = w0 + P u, gradient descent on u moves w exactly as centred descent does, since P² = P."""
        x, y = randn(20, 5), randn(20, 3, seed=1)
        w0 = randn(3, 5, seed=2)
        u = torch.zeros(3, 5, dtype=torch.float64, requires_grad=True)
        w = w0.clone().requires_grad_()
        over_u, over_w = torch.optim.SGD([u], 0.05, momentum=0.9), torch.optim.SGD([w], 0.05, momentum=0.9)
        GradientCentralization(over_w)
        for _ in range(50):
            for optimizer, weight in ((over_u, lambda: w0 + centralize(u)), (over_w, lambda: w)):
                optimizer.zero_grad()
                F.mse_loss(torch.tanh(x @ weight().T), y).backward()
                optimizer.step()
        torch.testing.assert_close(w.detach(), (w0 + centralize(u)).detach(), rtol=0, atol=1e-13)

    def test_is_the_authors_sgd(self) -> None:
        """Decay, then centring, then momentum, written out."""
        w = randn(4, 3).requires_grad_()
        b = randn(4, seed=3).requires_grad_()
        optimizer = torch.optim.SGD([w, b], 0.1, momentum=0.9, weight_decay=0.2)
        GradientCentralization(optimizer)
        expected = [w.detach().clone(), b.detach().clone()]
        velocity = [torch.zeros_like(p) for p in expected]
        for step in range(5):
            gradients = [randn(4, 3, seed=10 + step), randn(4, seed=20 + step)]
            w.grad, b.grad = (g.clone() for g in gradients)
            optimizer.step()
            for i, g in enumerate(gradients):
                d = g + 0.2 * expected[i]
                d = d - d.mean(1, keepdim=True) if d.ndim > 1 else d
                velocity[i] = 0.9 * velocity[i] + d
                expected[i] = expected[i] - 0.1 * velocity[i]
        torch.testing.assert_close(w.detach(), expected[0])
        torch.testing.assert_close(b.detach(), expected[1])

    def test_is_the_authors_generalised_gradient_under_adam(self) -> None:
        w = randn(4, 3).requires_grad_()
        optimizer = torch.optim.Adam([w], 0.1)
        GradientCentralization(optimizer, location="update")
        expected, m, v = w.detach().clone(), 0.0, 0.0
        for t in range(1, 6):
            g = randn(4, 3, seed=t)
            w.grad = g.clone()
            optimizer.step()
            assert torch.equal(w.grad, g)
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            expected = expected - 0.1 * centralize((m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8))
        torch.testing.assert_close(w.detach(), expected)

    @pytest.mark.parametrize("location", ["gradient", "update"])
    def test_maximize_is_the_mirror_image(self, location: Any) -> None:
        a, b = (randn(4, 3).requires_grad_() for _ in range(2))
        up = torch.optim.SGD([a], 0.1, momentum=0.9, weight_decay=0.2, maximize=True)
        down = torch.optim.SGD([b], 0.1, momentum=0.9, weight_decay=0.2)
        for optimizer in (up, down):
            GradientCentralization(optimizer, location=location)
        for step in range(5):
            g = randn(4, 3, seed=step)
            a.grad, b.grad = -g, g.clone()
            up.step()
            down.step()
        torch.testing.assert_close(a, b)

    def test_complex_weights_keep_their_means(self) -> None:
        w = torch.complex(randn(3, 4), randn(3, 4, seed=1)).requires_grad_()
        before = w.detach().mean(1)
        optimizer = torch.optim.SGD([w], 0.01, momentum=0.9, weight_decay=0.1)
        GradientCentralization(optimizer)
        for _ in range(10):
            optimizer.zero_grad()
            (w * w.conj()).real.pow(2).sum().backward()
            optimizer.step()
        torch.testing.assert_close(w.detach().mean(1), before)
        assert w.detach().abs().max() < 2


class TestWhichParameters:
    def test_convolutions_and_linear_layers_and_nothing_else(self) -> None:
        model = built(
            lambda: nn.ModuleDict(
                {
                    "conv": nn.Conv1d(2, 3, 3),
                    "embedding": nn.Embedding(7, 4),
                    "norm": nn.LayerNorm([2, 3]),
                    "rnn": nn.GRU(4, 5),
                    "attention": nn.MultiheadAttention(4, 2, add_bias_kv=True),
                    "linear": nn.Linear(4, 1),
                }
            )
        )
        model.register_parameter("token", nn.Parameter(torch.zeros(1, 3, 4)))
        names = {id(p): name for name, p in model.named_parameters()}

        def centred(**choice: Any) -> set[str]:
            wrapped = GradientCentralization(torch.optim.SGD(model.parameters(), 0.1), model, **choice)
            return {names[id(p)] for p in wrapped.parameters}

        layers = {"attention.in_proj_weight", "attention.out_proj.weight", "linear.weight"}
        recurrent = {"rnn.weight_ih_l0", "rnn.weight_hh_l0"}
        assert centred() == {"conv.weight"} | layers | recurrent
        assert centred(conv_only=True) == {"conv.weight"}
        assert centred(exclude=["rnn.*", model["conv"].weight]) == layers  # type: ignore[index]
        assert centred(conv_only=True, include=["embedding.weight", "token"]) == {
            "conv.weight",
            "embedding.weight",
            "token",
        }
        assert centred(include=["*.weight_hh_l0"], exclude=["rnn.*"], conv_only=True) == {"conv.weight"}

    def test_without_the_model_shapes_decide(self) -> None:
        parameters = [nn.Parameter(torch.zeros(*shape)) for shape in ((3,), (3, 2), (3, 2, 2), (3, 2, 2, 2))]
        optimizer = torch.optim.SGD(parameters, 0.1)
        assert len(GradientCentralization(optimizer).parameters) == 3
        (only,) = GradientCentralization(optimizer, conv_only=True).parameters
        assert only is parameters[3]

    def test_names_that_the_optimizer_knows_serve_without_a_model(self) -> None:
        model = net()
        optimizer = torch.optim.SGD(model.named_parameters(), 0.1)
        assert len(GradientCentralization(optimizer, exclude=["0.*"]).parameters) == 2

    @pytest.mark.parametrize("groups", [1, 2])
    def test_transposed_convolutions_are_centred_over_what_feeds_an_output(self, groups: int) -> None:
        """The same map as an ordinary convolution of the dilated input: centring must agree with that."""
        layer = built(lambda: nn.ConvTranspose2d(4, 6, 3, groups=groups, bias=False))
        shift = torch.ones(1, 4, 9, 9, dtype=torch.float64)
        optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
        GradientCentralization(optimizer, layer)
        start, before = layer.weight.detach().clone(), layer(shift)[..., 3:-3, 3:-3].detach()  # type: ignore[union-attr]
        for step in range(5):
            optimizer.zero_grad()
            layer(randn(2, 4, 9, 9, seed=step)).square().mean().backward()
            optimizer.step()
        torch.testing.assert_close(layer(shift)[..., 3:-3, 3:-3].detach(), before)
        assert (layer.weight - start).abs().max() > 1e-3  # type: ignore[operator]

    def test_depthwise_convolutions_are_centred_within_their_filters(self) -> None:
        layer = built(lambda: nn.Conv2d(4, 4, 3, groups=4, bias=False))
        optimizer = torch.optim.SGD(layer.parameters(), 0.1)
        GradientCentralization(optimizer, layer)
        layer(randn(2, 4, 9, 9)).square().mean().backward()
        optimizer.step()
        assert layer.weight.grad.flatten(1).sum(1).abs().max() < 1e-15  # type: ignore[union-attr,operator]

    def test_a_weight_shared_with_an_embedding_is_left_alone(self) -> None:
        for order in ("embedding", "out"), ("out", "embedding"):
            parts = {"embedding": nn.Embedding(5, 3, _weight=randn(5, 3)), "hidden": nn.Identity()}
            parts["hidden"] = built(lambda: nn.Linear(3, 3))
            parts["out"] = built(lambda: nn.Linear(3, 5))
            parts["out"].weight = parts["embedding"].weight
            model = nn.ModuleDict({name: parts[name] for name in (*order, "hidden")})
            wrapped = GradientCentralization(torch.optim.SGD(model.parameters(), 0.1), model)
            assert [tuple(p.shape) for p in wrapped.parameters] == [(3, 3)]

    def test_a_parametrised_weight_is_known_by_its_layer(self) -> None:
        layer = built(lambda: nn.ConvTranspose1d(4, 6, 3))
        torch.nn.utils.parametrizations.weight_norm(layer, dim=1)
        optimizer = torch.optim.SGD(layer.parameters(), 0.1)
        GradientCentralization(optimizer, layer, exclude=["*.original0"])
        layer(randn(2, 4, 9)).square().mean().backward()
        optimizer.step()
        direction = dict(layer.named_parameters())["parametrizations.weight.original1"]
        assert direction.grad is not None
        assert direction.grad.mean((0, 2)).abs().max() < 1e-15

    def test_a_fan_in_of_one_keeps_training_and_is_told(self) -> None:
        model = built(lambda: nn.Sequential(nn.Linear(1, 4), nn.Linear(4, 1)))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with pytest.warns(UserWarning, match=r"one weight feeds each unit.*'0.weight' \(4, 1\)"):
            wrapped = GradientCentralization(optimizer, model)
        assert len(wrapped.parameters) == 1
        before = model[0].weight.detach().clone()  # type: ignore[index]
        model(randn(5, 1)).square().sum().backward()
        optimizer.step()
        assert (model[0].weight != before).any()  # type: ignore[index]

    def test_parameters_without_entries_are_left_alone(self) -> None:
        parameters = [nn.Parameter(torch.zeros(shape)) for shape in ((0, 3), (3, 0), (2, 3))]
        optimizer = torch.optim.SGD(parameters, 0.1)
        (only,) = GradientCentralization(optimizer).parameters
        assert only is parameters[2]

    def test_added_groups_are_centred_too(self) -> None:
        a, b = (randn(3, 4, seed=seed).requires_grad_() for seed in range(2))
        optimizer = torch.optim.SGD([a], 0.1)
        wrapped = GradientCentralization(optimizer)
        optimizer.add_param_group({"params": [b]})
        a.grad, b.grad = randn(3, 4), randn(3, 4)
        optimizer.step()
        assert b.grad.sum(1).abs().max() < 1e-14
        assert len(wrapped.parameters) == 2


class TestAsAnOptimizer:
    @pytest.mark.parametrize("location", ["gradient", "update"])
    def test_removed_it_leaves_no_trace(self, location: Any) -> None:
        model, other = net(), net()
        optimizer, plain = (torch.optim.Adam(m.parameters(), 0.01) for m in (model, other))
        centred = GradientCentralization(optimizer, location=location)
        assert optimizer.state_dict() == plain.state_dict()
        centred.remove()
        for m, o in ((model, optimizer), (other, plain)):
            train(m, o, steps=3)
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))

    def test_state_goes_from_one_to_another(self) -> None:
        model = net()
        optimizer = CONSERVING["momentum"](model.parameters())
        GradientCentralization(optimizer, model)
        train(model, optimizer, steps=3)
        twin = copy.deepcopy(model)
        again = CONSERVING["momentum"](twin.parameters())
        GradientCentralization(again, twin)
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        for m, o in ((model, optimizer), (twin, again)):
            train(m, o, steps=3)
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))

    def test_wrapping_twice_changes_nothing(self) -> None:
        models = net(), net()
        for times, model in enumerate(models, 1):
            optimizer = CONSERVING["momentum"](model.parameters())
            for _ in range(times):
                GradientCentralization(optimizer, model)
            train(model, optimizer, steps=5)
        for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
            torch.testing.assert_close(a, b)

    def test_serves_fit(self) -> None:
        model = net()
        before = row_means(model)
        optimizer = CONSERVING["momentum"](model.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=10)
        GradientCentralization(optimizer, model)
        x, y = randn(8, 2, 6, 6), torch.arange(8) % 3
        fit(Player(model, lambda batch: F.cross_entropy(model(batch), y), optimizer, scheduler=schedule), [x], steps=10)
        assert drift(model, before) < 1e-12

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_has_no_smaller_range_for_the_sum_of_a_unit(self, dtype: torch.dtype) -> None:
        """The sum of these gradients, as large as GradScaler makes them, is beyond float16."""
        w = torch.zeros(2, 1000, dtype=dtype, requires_grad=True)
        w.grad = 2000 + 100 * randn(2, 1000).to(dtype)
        expected = centralize(w.grad.double())
        optimizer = torch.optim.SGD([w], 1e-3)
        GradientCentralization(optimizer)
        optimizer.step()
        assert w.grad.dtype == dtype
        torch.testing.assert_close(w.grad.double(), expected, rtol=torch.finfo(dtype).eps, atol=1e-2)

    def test_keeps_the_last_gradient_centred_less_the_mean_of_the_decay(self) -> None:
        w, g = randn(3, 4).requires_grad_(), randn(3, 4, seed=1)
        w.grad = g.clone()
        mean = w.detach().mean(1, keepdim=True)
        optimizer = torch.optim.SGD([w], 0.1, weight_decay=0.3)
        GradientCentralization(optimizer)
        optimizer.step()
        torch.testing.assert_close(w.grad, centralize(g) - 0.3 * mean)

    def test_parameters_without_a_gradient_stay(self) -> None:
        a, b = (randn(3, 4, seed=seed).requires_grad_() for seed in range(2))
        before = b.detach().clone()
        for location in ("gradient", "update"):
            optimizer = torch.optim.AdamW([a, b], 0.1, weight_decay=0.1)
            centred = GradientCentralization(optimizer, location=location, fold_weight_decay=False)  # type: ignore[arg-type]
            a.grad = randn(3, 4)
            optimizer.step()
            centred.remove()
        assert torch.equal(b, before)

    @pytest.mark.parametrize("location", ["gradient", "update"])
    @pytest.mark.parametrize("keyword", [True, False])
    def test_closures(self, keyword: bool, location: Any) -> None:
        x, y = randn(20, 5), randn(20, 3, seed=1)
        w = randn(3, 5, seed=2).requires_grad_()
        before = w.detach().mean(1)
        optimizer = torch.optim.LBFGS([w], max_iter=20, line_search_fn="strong_wolfe")
        GradientCentralization(optimizer, location=location)
        losses = []

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = F.mse_loss(x @ w.T, y)
            loss.backward()
            losses.append(loss.item())
            return loss

        loss = optimizer.step(closure=closure) if keyword else optimizer.step(closure)
        assert loss.item() == losses[0]
        assert losses[-1] < losses[0] / 2
        torch.testing.assert_close(w.detach().mean(1), before)

    def test_lbfgs_finds_the_best_point_of_the_hyperplane(self) -> None:
        x, y = randn(20, 5), randn(20, seed=1)
        w = randn(1, 5, seed=2).requires_grad_()
        start = w.detach().clone()
        optimizer = torch.optim.LBFGS(
            [w], max_iter=50, tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"
        )
        GradientCentralization(optimizer)

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = (x @ w[0] - y).square().sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        p = centralize(torch.eye(5, dtype=torch.float64))
        u = torch.linalg.lstsq(x @ p, (y - x @ start[0])[:, None], driver="gelsd").solution
        torch.testing.assert_close(w.detach(), start + (p @ u).T, atol=1e-7, rtol=1e-7)

    def test_accumulated_gradients(self) -> None:
        a, b = (randn(4, 3).requires_grad_() for _ in range(2))
        first, second = torch.optim.SGD([a], 0.1), torch.optim.SGD([b], 0.1)
        for optimizer in (first, second):
            GradientCentralization(optimizer)
        for seed in range(2):
            (a * randn(4, 3, seed=seed)).sum().backward()
        b.grad = randn(4, 3, seed=0) + randn(4, 3, seed=1)
        first.step()
        second.step()
        torch.testing.assert_close(a, b)

    @pytest.mark.parametrize("fused", [False, True])
    @pytest.mark.parametrize("location", ["gradient", "update"])
    def test_grad_scaler(self, fused: bool, location: Any) -> None:
        model = net().float()
        before = row_means(model)
        optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9, weight_decay=0.1, fused=fused)
        GradientCentralization(optimizer, model, location=location)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        for step in range(20):
            optimizer.zero_grad()
            scaler.scale(model(randn(4, 2, 6, 6, seed=step).float()).logsumexp(1).mean()).backward()
            scaler.step(optimizer)
            scaler.update()
        assert drift(model, before) < 1e-6

    def test_a_step_that_the_scaler_skips_moves_nothing(self) -> None:
        w = randn(3, 4, dtype=torch.float32).requires_grad_()
        before = w.detach().clone()
        optimizer = torch.optim.AdamW([w], 0.1, weight_decay=0.5, fused=True)
        GradientCentralization(optimizer, location="update", fold_weight_decay=False)
        scaler = torch.amp.GradScaler("cpu")
        scaler.scale(w.sum() * float("inf")).backward()
        scaler.step(optimizer)
        torch.testing.assert_close(w.detach(), before)

    def test_a_kind_of_decay_that_is_not_known_must_be_said(self) -> None:
        class Own(torch.optim.Optimizer):
            def step(self, closure: Any = None) -> None:
                for group in self.param_groups:
                    for p in group["params"]:
                        p.data.sub_(p.grad + group["weight_decay"] * p.data, alpha=group["lr"])

        w = randn(3, 4).requires_grad_()
        before = w.detach().mean(1)
        optimizer = Own([w], {"lr": 0.1, "weight_decay": 0.2})
        with pytest.raises(ValueError, match=r"weight decay of Own .* is not known"):
            GradientCentralization(optimizer)
        GradientCentralization(optimizer, decoupled=False)
        w.grad = randn(3, 4)
        optimizer.step()
        torch.testing.assert_close(w.detach().mean(1), before)

    def test_says_what_it_centres(self) -> None:
        optimizer = torch.optim.SGD(net().parameters(), 0.1)
        assert repr(GradientCentralization(optimizer)) == "GradientCentralization(SGD, gradient, 3 of 8 parameters)"


class TestRefuses:
    @pytest.mark.parametrize(
        ("shape", "choice", "message"),
        [
            ((3,), {}, "No parameter of the optimizer is left to centre"),
            ((3, 2), {"conv_only": True}, "No parameter of the optimizer is left"),
            ((3, 2), {"location": "weights"}, "`location` must be 'gradient' or 'update'"),
            ((3, 2), {"include": ["head.*"]}, r"`include` has 'head.\*'"),
            ((3, 2), {"exclude": [torch.zeros(3, 2)]}, r"a tensor of shape \(3, 2\), which is no parameter"),
        ],
    )
    def test_what_cannot_be(self, shape: tuple[int, ...], choice: Any, message: str) -> None:
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(shape))], 0.1)
        with pytest.raises(ValueError, match=message):
            GradientCentralization(optimizer, **choice)
        assert not optimizer._optimizer_step_pre_hooks

    def test_a_single_name_where_a_list_belongs(self) -> None:
        with pytest.raises(TypeError, match="`exclude` must be a list"):
            GradientCentralization(torch.optim.SGD(net().parameters(), 0.1), exclude="0.*")

    @pytest.mark.parametrize(
        ("arguments", "choice", "message"),
        [
            ((nn.Linear(2, 2),), {}, "`optimizer` must be a torch.optim.Optimizer, but is a Linear"),
            ((torch.optim.SGD(net().parameters(), 0.1), []), {}, "`model` must be a torch.nn.Module, but is a list"),
            ((torch.optim.SGD(net().parameters(), 0.1),), {"include": [nn.Linear(2, 2)]}, "`include` .* has a Linear"),
        ],
    )
    def test_what_is_of_another_kind(self, arguments: Any, choice: Any, message: str) -> None:
        with pytest.raises(TypeError, match=message):
            GradientCentralization(*arguments, **choice)

    def test_a_vector_by_name(self) -> None:
        bias = nn.Parameter(torch.zeros(3))
        with pytest.raises(ValueError, match=r"one of shape \(3,\), which has 1 dimension"):
            GradientCentralization(torch.optim.SGD([bias], 0.1), include=[bias])

    def test_another_model(self) -> None:
        with pytest.raises(ValueError, match="`model` must hold every parameter"):
            GradientCentralization(torch.optim.SGD(net().parameters(), 0.1), net())

    def test_coupled_decay_outside_of_an_update(self) -> None:
        optimizer = torch.optim.Adam(net().parameters(), 0.1, weight_decay=0.1)
        with pytest.raises(ValueError, match="cannot be told from the gradient"):
            GradientCentralization(optimizer, location="update", fold_weight_decay=False)

    def test_sparse_gradients_of_what_it_centres(self) -> None:
        embedding = nn.Embedding(5, 3, sparse=True, _weight=randn(5, 3))
        optimizer = torch.optim.SGD(embedding.parameters(), 0.1)
        GradientCentralization(optimizer)
        embedding(torch.tensor([1, 2])).sum().backward()
        with pytest.raises(ValueError, match=r"is sparse.*give `model`"):
            optimizer.step()

    def test_lets_sparse_gradients_of_excluded_embeddings_pass(self) -> None:
        model = nn.Sequential(nn.Embedding(5, 3, sparse=True, _weight=randn(5, 3)), built(lambda: nn.Linear(3, 2)))
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        GradientCentralization(optimizer, model)
        model(torch.tensor([1, 2])).square().sum().backward()
        optimizer.step()


@pytest.fixture
def mesh() -> Iterator[Any]:
    """A process group of this process alone."""
    import torch.distributed as dist
    from torch.distributed.device_mesh import DeviceMesh

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        try:
            yield DeviceMesh("cpu", [0])
        finally:
            dist.destroy_process_group()


class TestSharded:
    def test_whole_units_are_centred(self, mesh: Any) -> None:
        from torch.distributed.tensor import Shard, distribute_tensor

        w = nn.Parameter(distribute_tensor(randn(4, 3), mesh, [Shard(0)]))
        optimizer = torch.optim.SGD([w], 0.1, momentum=0.9, weight_decay=0.1)
        GradientCentralization(optimizer)
        (w * w * w).sum().backward()
        optimizer.step()
        torch.testing.assert_close(w.detach().full_tensor().mean(1), randn(4, 3).mean(1))  # type: ignore[attr-defined]

    def test_split_units_are_refused(self, mesh: Any) -> None:
        from torch.distributed.tensor import Shard, distribute_tensor

        w = nn.Parameter(distribute_tensor(randn(4, 3), mesh, [Shard(1)]))
        with pytest.raises(ValueError, match="splits the weights of one unit between processes"):
            GradientCentralization(torch.optim.SGD([w], 0.1))
