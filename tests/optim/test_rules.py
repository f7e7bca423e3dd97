"""What is true of single rules: closed forms, limits, identities between them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.optim import Optimizer

from torchstone.optim import AdamNC, AMSGrad, InverseSqrt, Nadam, RMSProp, RMSPropMomentum, Velocity, create
from torchstone.optim import base as base_module
from torchstone.optim import fused as fused_module
from torchstone.optim.blocks import blocks

SEED = 0


def noise(*shape: int, seed: int = SEED) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def vector(values: Tensor) -> Tensor:
    return values.clone().requires_grad_()


def follow(optimizer: Optimizer, x: Tensor, gradients: Tensor, scheduler: InverseSqrt | None = None) -> Tensor:
    """The points after each step, (t, d)."""
    path = []
    for gradient in gradients:
        x.grad = gradient.clone()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        path.append(x.detach().clone())
    return torch.stack(path)


def minimise(optimizer: Optimizer, x: Tensor, hessian: Tensor, steps: int) -> Tensor:
    """The points of descent on xᵀHx / 2."""
    path = [x.detach().clone()]
    for _ in range(steps):
        x.grad = hessian @ x.detach()
        optimizer.step()
        path.append(x.detach().clone())
    return torch.stack(path)


@given(gradient=st.floats(1e-6, 1e6), alpha=st.floats(0.0, 0.999))
def test_first_steps_have_closed_forms(gradient: float, alpha: float):
    zero = torch.zeros(1, dtype=torch.float64)
    g = torch.tensor([[gradient]], dtype=torch.float64)
    for name, hyper, size in (
        ("adam", {}, 1.0),
        ("amsgrad", {}, 1.0),
        ("adagrad", {}, 1.0),
        ("rmsprop", {"alpha": alpha}, 1 / math.sqrt(1 - alpha)),
        ("adamnc", {"beta1": alpha}, 1 - alpha),
    ):
        x = vector(zero)
        (moved,) = follow(create(name, [x], lr=0.1, eps=0.0, **hyper), x, g)
        assert moved.item() == pytest.approx(-0.1 * size, rel=1e-9), name


def test_adamncs_second_moment_is_the_mean_square():
    gradients, x = noise(50, 6), vector(noise(6))
    optimizer = AdamNC([x])
    follow(optimizer, x, gradients)
    torch.testing.assert_close(optimizer.state[x]["exp_avg_sq"], gradients.square().mean(0), rtol=1e-13, atol=0)


@pytest.mark.parametrize("impl", ["auto", "for"])
def test_adamnc_without_momentum_is_adagrad(impl: str):
    """With α/√t, and ε = 0."""
    gradients, start = noise(50, 6), noise(6, seed=1)
    x, y = vector(start), vector(start)
    optimizer = create("adamnc", [x], lr=0.1, beta1=0.0, semantics="paper", impl=impl)
    ours = follow(optimizer, x, gradients, InverseSqrt(optimizer))
    theirs = follow(create("adagrad", [y], lr=0.1, semantics="paper"), y, gradients)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


def test_adamncs_first_coefficient_decays():
    gradients, x = noise(4, 3), vector(torch.zeros(3, dtype=torch.float64))
    optimizer = AdamNC([x], beta1=0.8, beta1_decay=0.5)
    follow(optimizer, x, gradients)
    m = torch.zeros(3, dtype=torch.float64)
    for beta1, g in zip((0.8, 0.4, 0.2, 0.1), gradients, strict=True):
        m = beta1 * m + (1 - beta1) * g
    torch.testing.assert_close(optimizer.state[x]["exp_avg"], m)


@pytest.mark.parametrize("bias_correction", ["none", "after_max", "before_max"])
def test_amsgrads_maximum_never_shrinks(bias_correction: str):
    x = vector(noise(6))
    optimizer = AMSGrad([x], betas=(0.9, 0.5), bias_correction=bias_correction)
    before = torch.zeros(6, dtype=torch.float64)
    for gradient in noise(40, 6) * torch.linspace(3, 0.01, 40, dtype=torch.float64)[:, None]:
        x.grad = gradient
        optimizer.step()
        assert (optimizer.state[x]["max_exp_avg_sq"] >= before).all()
        before = optimizer.state[x]["max_exp_avg_sq"].clone()


def test_amsgrads_corrections_differ_early_and_agree_late():
    gradients = noise(400, 5)
    paths = {}
    for kind in ("none", "after_max", "before_max"):
        x = vector(torch.zeros(5, dtype=torch.float64))
        paths[kind] = follow(AMSGrad([x], lr=1e-3, betas=(0.9, 0.9), bias_correction=kind), x, gradients)
    early = paths["after_max"][3] - paths["before_max"][3]
    assert early.abs().max() > 1e-5
    last = {kind: path[-1] - path[-2] for kind, path in paths.items()}
    torch.testing.assert_close(last["none"], last["after_max"], rtol=1e-9, atol=0)


def test_amsgrad_after_max_is_torchs():
    gradients, start = noise(30, 5), noise(5, seed=1)
    x, y = vector(start), vector(start)
    ours = follow(AMSGrad([x], bias_correction="after_max"), x, gradients)
    torch.testing.assert_close(ours, follow(torch.optim.Adam([y], amsgrad=True), y, gradients), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("mode", ["preconditioned", "torch"])
def test_both_names_of_the_preconditioned_mode_are_torchs(mode: str):
    """Also while the step size changes."""
    gradients, start = noise(30, 5), noise(5, seed=1)
    x, y = vector(start), vector(start)
    ours = RMSPropMomentum([x], momentum_mode=mode)
    theirs = torch.optim.RMSprop([y], momentum=0.9)
    path, expected = (follow(o, p, gradients, InverseSqrt(o)) for o, p in ((ours, x), (theirs, y)))
    torch.testing.assert_close(path, expected, rtol=1e-13, atol=1e-13)


def test_velocity_mode_differs_only_while_the_step_size_changes():
    gradients = noise(20, 5)

    def path(mode: str, changing: bool) -> Tensor:
        x = vector(torch.zeros(5, dtype=torch.float64))
        optimizer = RMSPropMomentum([x], momentum_mode=mode)
        return follow(optimizer, x, gradients, InverseSqrt(optimizer) if changing else None)

    torch.testing.assert_close(path("velocity", False), path("torch", False), rtol=1e-12, atol=1e-14)
    assert (path("velocity", True) - path("torch", True)).abs().max() > 1e-3


@pytest.mark.parametrize("impl", ["auto", "for"])
def test_the_ema_mode_is_adam_without_correction(impl: str):
    gradients, x = noise(20, 5), vector(torch.zeros(5, dtype=torch.float64))
    moved = follow(RMSPropMomentum([x], momentum_mode="ema", impl=impl), x, gradients)
    m = v = y = torch.zeros(5, dtype=torch.float64)
    for g in gradients:
        m, v = 0.9 * m + 0.1 * g, 0.99 * v + 0.01 * g**2
        y = y - 0.01 * m / (v.sqrt() + 1e-8)
    torch.testing.assert_close(moved[-1], y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_centred_forms_are_torchs(momentum: float):
    gradients, start = noise(30, 5), noise(5, seed=1)
    x, y = vector(start), vector(start)
    ours = RMSPropMomentum([x], momentum=momentum, centered=True) if momentum else RMSProp([x], centered=True)
    theirs = torch.optim.RMSprop([y], momentum=momentum, centered=True)
    torch.testing.assert_close(follow(ours, x, gradients), follow(theirs, y, gradients), rtol=1e-9, atol=1e-12)


def test_nadams_constant_schedule_is_adam_at_the_next_momentum():
    """m̂ of Adam, with β₁ mₜ + (1 - β₁) gₜ in place of mₜ, each corrected."""
    gradients, x = noise(20, 5), vector(torch.zeros(5, dtype=torch.float64))
    moved = follow(Nadam([x], lr=0.1, schedule="constant"), x, gradients)
    m = v = y = torch.zeros(5, dtype=torch.float64)
    for t, g in enumerate(gradients, 1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        ahead = 0.9 * m / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
        y = y - 0.1 * ahead / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    torch.testing.assert_close(moved[-1], y, rtol=1e-11, atol=1e-12)


def test_nadam_without_first_moment():
    gradients, x, y = noise(20, 5), vector(noise(5)), vector(noise(5))
    ours = follow(Nadam([x], betas=(0.0, 0.9)), x, gradients)
    torch.testing.assert_close(ours, follow(torch.optim.Adam([y], lr=2e-3, betas=(0.0, 0.9)), y, gradients))


@pytest.mark.parametrize("kind", ["torch", "paper"])
def test_nesterov_is_the_textbooks_at_its_look_ahead_point(kind: str):
    """v = μv - αg(x + μv), x += v; ours is x + μv."""
    hessian = torch.diag(torch.tensor([1.0, 10.0], dtype=torch.float64))
    start, mu, lr = noise(2), 0.8, 0.05
    y = vector(start)
    path = minimise(create("nesterov", [y], lr=lr, momentum=mu, semantics=kind), y, hessian, 30)
    x, v = start.clone(), torch.zeros(2, dtype=torch.float64)
    for ours in path:
        torch.testing.assert_close(x + mu * v, ours, rtol=1e-12, atol=1e-14)
        v = mu * v - lr * hessian @ (x + mu * v)
        x = x + v


def test_gradient_descent_on_a_quadratic():
    """x_t = (I - αH)ᵗ x_0."""
    root = noise(3, 3)
    hessian, start = root @ root.T, noise(3, seed=1)
    x = vector(start)
    path = minimise(create("sgd", [x], lr=0.05), x, hessian, 20)
    expected = torch.linalg.matrix_power(torch.eye(3, dtype=torch.float64) - 0.05 * hessian, 20) @ start
    torch.testing.assert_close(path[-1], expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("semantics", ["torch", "paper"])
def test_momentum_on_a_quadratic(semantics: str):
    """(x_{t+1}, x_t) = [[1 + μ - αh, -μ], [1, 0]] (x_t, x_{t-1})."""
    h, lr, mu = 3.0, 0.1, 0.7
    x = vector(torch.tensor([2.0], dtype=torch.float64))
    path = minimise(
        create("momentum", [x], lr=lr, momentum=mu, semantics=semantics), x, torch.tensor([[h]]).double(), 25
    )
    companion = torch.tensor([[1 + mu - lr * h, -mu], [1.0, 0.0]], dtype=torch.float64)
    start = torch.tensor([2.0, 2.0], dtype=torch.float64)
    expected = torch.linalg.matrix_power(companion, 25) @ start
    torch.testing.assert_close(path[-1][0], expected[0], rtol=1e-10, atol=1e-14)


def test_a_buffer_of_steps_keeps_its_size_when_the_step_size_drops():
    x = vector(torch.zeros(1, dtype=torch.float64))
    optimizer = Velocity([x], lr=1.0, momentum=0.5)
    follow(optimizer, x, torch.ones(1, 1, dtype=torch.float64))
    optimizer.param_groups[0]["lr"] = 0.0
    follow(optimizer, x, torch.ones(2, 1, dtype=torch.float64))
    assert x.item() == -1.75


def test_half_parameters_keep_states_in_float32_through_a_state_dict():
    """In bfloat16 the mean of many squares would stop to move."""
    x = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    optimizer = AdamNC([x], lr=0.0)
    for _ in range(600):
        x.grad = torch.ones_like(x)
        optimizer.step()
    for _ in range(600):
        x.grad = torch.zeros_like(x)
        optimizer.step()
    again = AdamNC([x], lr=0.0)
    again.load_state_dict(optimizer.state_dict())
    for one in (optimizer, again):
        assert one.state[x]["exp_avg_sq"].dtype == torch.float32
        torch.testing.assert_close(one.state[x]["exp_avg_sq"], torch.full((3,), 0.5), rtol=1e-4, atol=0)
    assert again.state[x]["exp_avg_sq"] is not optimizer.state[x]["exp_avg_sq"]


def test_channels_last_parameters():
    start = noise(4, 3, 2, 2)
    plain, last = vector(start), start.clone().to(memory_format=torch.channels_last).requires_grad_()
    gradients = noise(5, 4, 3, 2, 2, seed=1)
    for kind in (AdamNC, RMSProp, Nadam, RMSPropMomentum, AMSGrad):
        paths = follow(kind([plain]), plain, gradients), follow(kind([last]), last, gradients)
        torch.testing.assert_close(*paths, rtol=1e-12, atol=1e-12)
        with torch.no_grad():
            plain.copy_(start)
            last.copy_(start)


def test_large_parameters_are_cut_and_small_ones_collected(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(base_module, "blocks", lambda rows: blocks(rows, 7))
    shapes = [(5, 5), (2,), (3,), (4, 2), (1,)]
    paths = []
    for impl in ("auto", "for"):
        params = [vector(noise(*shape, seed=1)) for shape in shapes]
        optimizer = create("adadelta", params, impl=impl)
        for t in range(3):
            for parameter in params:
                parameter.grad = noise(*parameter.shape, seed=t)
            optimizer.step()
        paths.append(torch.cat([parameter.detach().reshape(-1) for parameter in params]))
    torch.testing.assert_close(paths[0], paths[1], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("damage", ["gone", "wrong", "raises"])
def test_without_the_kernel_the_formula_is_used(damage: str, monkeypatch: pytest.MonkeyPatch):
    def raises(*args: object, **kwargs: object) -> None:
        raise TypeError("an argument that this torch does not know")

    gradients, start = noise(10, 5), noise(5, seed=1)
    x, y = vector(start), vector(start)
    expected = follow(AdamNC([x]), x, gradients)
    if damage == "gone":
        monkeypatch.delattr(torch, "_fused_adam_")
    else:
        monkeypatch.setattr(torch, "_fused_adam_", raises if damage == "raises" else lambda *args, **kwargs: None)
    fused_module.available.cache_clear()
    try:
        torch.testing.assert_close(follow(AdamNC([y]), y, gradients), expected, rtol=1e-12, atol=1e-12)
        y.grad = gradients[0]
        with pytest.raises(RuntimeError, match=r"impl='fused' of AdamNC needs .* Give impl='auto'\."):
            AdamNC([y], impl="fused").step()
    finally:
        fused_module.available.cache_clear()


def test_the_kernel_is_there_in_this_torch():
    assert fused_module.available("cpu", torch.float32)
    assert fused_module.available("cpu", torch.float64)
    assert not fused_module.available("cpu", torch.bfloat16)


def test_adamncs_kernel_is_exact_after_very_many_steps():
    """(1 - 1/t)ⁿ is far from 0 for any step n of Adam's that float32 holds, so its correction must be off."""
    x = vector(torch.zeros(2, dtype=torch.float64))
    optimizer = AdamNC([x], lr=1.0, beta1=0.0)
    follow(optimizer, x, torch.ones(1, 2, dtype=torch.float64))
    optimizer.state[x]["step"] = 10**8 - 1
    (moved,) = follow(optimizer, x, torch.ones(1, 2, dtype=torch.float64)) + 1
    torch.testing.assert_close(moved, torch.full((2,), -1.0, dtype=torch.float64), rtol=1e-7, atol=0)
