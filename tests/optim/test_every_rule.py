"""What every row of the catalogue is held to, in every semantics."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from torchstone.optim import RULES, InverseSqrt, create
from torchstone.training import Player, fit

VARIANTS = [(rule.name, semantics) for rule in RULES.values() for semantics in rule.semantics]
STEPS = 12
SHAPES = [(3, 4), (5,), (), (2, 3, 2)]

every_variant = pytest.mark.parametrize(("name", "semantics"), VARIANTS)
every_rule = pytest.mark.parametrize("name", RULES)


def gradients(steps: int = STEPS, *, dtype: torch.dtype = torch.float64) -> list[list[Tensor]]:
    """Of four parameters, of sizes from 1e-3 to 10."""
    generator = torch.Generator().manual_seed(0)
    draw = [[torch.randn(shape, generator=generator, dtype=torch.float64) for shape in SHAPES] for _ in range(steps)]
    return [[(g * 10 ** (g.mean() - 1)).to(dtype) for g in step] for step in draw]


def parameters(*, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for shape in SHAPES]


def descend(optimizer: Optimizer, params: list[Tensor], steps: list[list[Tensor]]) -> list[Tensor]:
    """Set the gradients, step; the parameters at the end."""
    for step in steps:
        for parameter, gradient in zip(params, step, strict=True):
            parameter.grad = gradient.clone()
        optimizer.step()
    return [parameter.detach().clone() for parameter in params]


def run(name: str, steps: list[list[Tensor]], *, dtype: torch.dtype = torch.float64, **options: Any) -> list[Tensor]:
    params = parameters(dtype=dtype)
    return descend(create(name, params, **options), params, steps)


def assert_close(ours: list[Tensor], theirs: list[Tensor], tolerance: float = 1e-12) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


KERNELS = [
    *((name, "torch") for name in RULES if name != "adadelta"),
    *((name, semantics) for name in ("sgd", "adam") for semantics in ("paper", "keras", "optax")),
    *((name, "paper") for name in ("adagrad", "rmsprop", "amsgrad", "adamnc")),
    *((name, "keras") for name in ("nadam", "amsgrad")),
    *((name, "optax") for name in ("momentum", "nesterov", "nadam")),
]
"""The variants that a fused kernel computes."""


TORCH: dict[str, Callable[[list[Tensor]], Optimizer]] = {
    "sgd": lambda params: torch.optim.SGD(params, foreach=False),
    "momentum": lambda params: torch.optim.SGD(params, momentum=0.9, foreach=False),
    "nesterov": lambda params: torch.optim.SGD(params, momentum=0.9, nesterov=True, foreach=False),
    "adagrad": lambda params: torch.optim.Adagrad(params, foreach=False),
    "adadelta": lambda params: torch.optim.Adadelta(params, foreach=False),
    "rmsprop": lambda params: torch.optim.RMSprop(params, foreach=False),
    "rmsprop_momentum": lambda params: torch.optim.RMSprop(params, momentum=0.9, foreach=False),
    "adam": lambda params: torch.optim.Adam(params, foreach=False),
    "nadam": lambda params: torch.optim.NAdam(params, foreach=False),
    "amsgrad": lambda params: torch.optim.Adam(params, amsgrad=True, foreach=False),
}


@pytest.fixture
def double() -> Iterator[None]:
    """Torch keeps Nadam's product of momenta in the default type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.mark.parametrize("name", TORCH)
def test_it_is_torchs_with_torchs_defaults(name: str, double: None):
    params = parameters()
    assert_close(run(name, gradients()), descend(TORCH[name](params), params, gradients()))


def test_only_adamnc_is_not_in_torch():
    assert set(RULES) - set(TORCH) == {"adamnc"}


HYPER = [{}, {"weight_decay": 0.1}, {"maximize": True}, {"weight_decay": 0.1, "maximize": True}]


@every_variant
@pytest.mark.parametrize("hyper", HYPER)
def test_implementations_agree(name: str, semantics: str, hyper: dict[str, Any]):
    steps = gradients()
    expected = run(name, steps, semantics=semantics, impl="for", **hyper)
    for impl in ("foreach", "auto", *(["fused"] if (name, semantics) in KERNELS else [])):
        assert_close(run(name, steps, semantics=semantics, impl=impl, **hyper), expected)


@pytest.mark.parametrize(("name", "semantics"), [variant for variant in VARIANTS if variant not in KERNELS])
def test_a_kernel_that_is_not_there_is_refused(name: str, semantics: str):
    with pytest.raises((ValueError, RuntimeError), match="impl='auto'"):
        run(name, gradients(1), semantics=semantics, impl="fused")


@every_variant
def test_maximize_is_descent_on_the_negative(name: str, semantics: str):
    steps = gradients()
    negative = [[-g for g in step] for step in steps]
    up = run(name, steps, semantics=semantics, maximize=True)
    assert_close(up, run(name, negative, semantics=semantics))


@every_variant
def test_a_run_goes_on_from_its_state(name: str, semantics: str):
    steps, params = gradients(), parameters()
    whole = run(name, steps, semantics=semantics)
    first = create(name, params, semantics=semantics)
    descend(first, params, steps[:5])
    second = create(name, params, semantics=semantics)
    second.load_state_dict(first.state_dict())
    for mine, theirs in zip(descend(second, params, steps[5:]), whole, strict=True):
        assert torch.equal(mine, theirs)


@every_variant
def test_parameters_may_be_permuted_and_split(name: str, semantics: str):
    steps = gradients()
    whole = run(name, steps, semantics=semantics)
    for place in range(len(SHAPES)):
        order = torch.randperm(whole[place].numel(), generator=torch.Generator().manual_seed(place))
        start = parameters()[place].detach().reshape(-1)[order]
        pieces = [piece.clone().requires_grad_() for piece in start.split(2)]
        cut = [list(step[place].reshape(-1)[order].split(2)) for step in steps]
        moved = torch.cat(descend(create(name, pieces, semantics=semantics), pieces, cut))
        torch.testing.assert_close(moved, whole[place].reshape(-1)[order], rtol=1e-12, atol=1e-12)


@every_variant
def test_no_gradient_no_step(name: str, semantics: str):
    """A gradient of 0 from the beginning moves nothing, whatever ε is, and neither does no gradient."""
    params = parameters()
    before = [parameter.detach().clone() for parameter in params]
    optimizer = create(name, params, semantics=semantics)
    for parameter in params[1:]:
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert all(torch.equal(parameter, start) for parameter, start in zip(params, before, strict=True))


SCALE_FREE = {"adagrad": 0.0, "rmsprop": 0.0, "rmsprop_momentum": 0.0, "adam": 0.0, "amsgrad": 0.0, "adamnc": 0.0}


@pytest.mark.parametrize("name", [*SCALE_FREE, "nadam"])
def test_without_epsilon_the_size_of_gradients_does_not_matter(name: str):
    steps = gradients()
    larger = [[1000 * g for g in step] for step in steps]
    assert_close(run(name, larger, eps=0.0), run(name, steps, eps=0.0), 1e-10)


@every_rule
def test_complex_parameters_move_as_pairs(name: str):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    steps = [torch.randn(4, 2, generator=generator, dtype=torch.float64) for _ in range(5)]
    pair, number = start.clone().requires_grad_(), torch.view_as_complex(start.clone()).requires_grad_()
    (real,) = descend(create(name, [pair]), [pair], [[g] for g in steps])
    (moved,) = descend(create(name, [number]), [number], [[torch.view_as_complex(g)] for g in steps])
    assert_close([torch.view_as_real(moved)], [real])


LOWER = [
    (name, dtype)
    for name in RULES
    for dtype in (torch.float32, torch.bfloat16, torch.float16)
    if dtype != torch.float16 or name not in ("adam", "amsgrad")  # torch keeps their states in half, where ε is 0
]


@pytest.mark.parametrize(("name", "dtype"), LOWER)
def test_lower_precision_stays_near(name: str, dtype: torch.dtype):
    exact = run(name, gradients(5))
    moved = run(name, gradients(5, dtype=dtype), dtype=dtype)
    assert all(parameter.dtype == dtype for parameter in moved)
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 1e-2}[dtype]
    assert_close([parameter.double() for parameter in moved], exact, tolerance)


@every_rule
@pytest.mark.parametrize("impl", ["auto", "for"])
def test_gradients_may_be_laid_out_otherwise(name: str, impl: str):
    """Torch's own fused kernels take the numbers of such a gradient in the wrong order."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(3, 4, generator=generator)
    steps = [torch.randn(3, 4, generator=generator) for _ in range(4)]
    plain, other = start.clone().requires_grad_(), start.clone().requires_grad_()
    (expected,) = descend(create(name, [plain], impl=impl), [plain], [[g] for g in steps])
    optimizer = create(name, [other], impl=impl)
    for g in steps:
        other.grad = g.t().contiguous().t()
        optimizer.step()
    assert_close([other.detach()], [expected], 1e-6)


@every_rule
def test_a_copied_optimizer_is_as_careful(name: str):
    start = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    g = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    plain = start.clone().requires_grad_()
    (expected,) = descend(create(name, [plain]), [plain], [[g]])
    copied = copy.deepcopy(create(name, [start.clone().requires_grad_()]))
    (other,) = copied.param_groups[0]["params"]
    other.grad = g.t().contiguous().t()
    copied.step()
    assert_close([other.detach()], [expected], 1e-6)


def added_late(name: str, late: Tensor, gradient: Tensor) -> None:
    """Two steps of a parameter in a group that is added to one of ordinary parameters."""
    early = torch.ones(2, requires_grad=True)
    optimizer = create(name, [early])
    optimizer.add_param_group({"params": [late]})
    descend(optimizer, [early, late], [[torch.ones(2), gradient]] * 2)


@every_rule
def test_a_group_that_is_added_may_have_gaps_in_memory(name: str):
    """Torch's fused kernels would write into them, and beyond."""
    wide = torch.zeros(3, 2)
    added_late(name, wide[:, 0].requires_grad_(), torch.ones(3))
    assert (wide[:, 0] < 0).all()
    assert not wide[:, 1].any()


@every_rule
def test_a_group_that_is_added_may_be_complex(name: str):
    late = torch.zeros(3, dtype=torch.complex64, requires_grad=True)
    added_late(name, late, torch.ones(3, dtype=torch.complex64))
    assert (late.real < 0).all()


def test_a_state_in_which_some_momentum_has_not_begun_can_be_loaded():
    a, b = parameters()[:2]
    optimizer = create("momentum", [a, b])
    descend(optimizer, [a], [[torch.ones_like(a)]])
    before = copy.deepcopy(optimizer.state_dict())
    descend(optimizer, [a, b], [[torch.ones_like(a), torch.ones_like(b)]])
    optimizer.load_state_dict(before)
    start = b.detach().clone()
    descend(optimizer, [a, b], [[torch.ones_like(a), torch.ones_like(b)]])
    assert_close([start - b.detach()], [torch.full_like(start, 1e-3)])


@every_rule
def test_parameters_with_gaps_in_memory(name: str):
    start = torch.randn(6, generator=torch.Generator().manual_seed(0))
    wide = torch.stack([start, torch.zeros(6)], dim=1)
    gappy, plain = wide[:, 0].requires_grad_(), start.clone().requires_grad_()
    steps = [[torch.randn(6, generator=torch.Generator().manual_seed(t))] for t in range(1, 4)]
    expected = descend(create(name, [plain]), [plain], steps)
    assert_close(descend(create(name, [gappy]), [gappy], steps), expected, 1e-6)
    assert not wide[:, 1].any()


@every_rule
def test_a_closure_is_evaluated_with_gradients(name: str):
    x = torch.tensor([3.0], requires_grad=True)
    optimizer = create(name, [x])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = x.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9.0
    assert x.item() < 3.0


@every_rule
def test_groups_have_hyperparameters_of_their_own(name: str):
    a, b = parameters()[:2]
    optimizer = create(name, [{"params": [a], "lr": 0.0}, {"params": [b]}], lr=0.1)
    before = a.detach().clone(), b.detach().clone()
    descend(optimizer, [a, b], [step[:2] for step in gradients(2)])
    assert torch.equal(a, before[0])
    assert not torch.equal(b, before[1])


@every_rule
def test_groups_may_come_as_generators(name: str):
    params = parameters()
    optimizer = create(name, ({"params": (p for p in some)} for some in (params[:2], params[2:])))
    assert_close(descend(optimizer, params, gradients(3)), run(name, gradients(3)))


@every_rule
def test_a_group_may_be_added_later(name: str):
    """As in fine-tuning, where more and more layers are let go."""
    steps = gradients(6)
    early, late = parameters()[:2]
    optimizer = create(name, [early])
    descend(optimizer, [early], [step[:1] for step in steps[:3]])
    optimizer.add_param_group({"params": [late]})
    both = descend(optimizer, [early, late], [step[:2] for step in steps[3:]])
    alone = parameters()[:2]
    expected = descend(create(name, alone[:1]), alone[:1], [step[:1] for step in steps]) + descend(
        create(name, alone[1:]), alone[1:], [step[1:2] for step in steps[3:]]
    )
    assert_close(both, expected)


@every_rule
def test_named_parameters_are_taken(name: str):
    params = parameters()
    named = create(name, [(f"p{place}", parameter) for place, parameter in enumerate(params)])
    assert_close(descend(named, params, gradients(3)), run(name, gradients(3)))


@every_rule
def test_a_late_parameter_begins_at_its_own_first_step(name: str):
    """Like a parameter with an optimizer of its own."""
    steps = gradients(6)
    early, late = parameters()[:2]
    together = create(name, [early, late])
    for t, step in enumerate(steps):
        early.grad, late.grad = step[0].clone(), step[1].clone() if t >= 3 else None
        together.step()
    alone = parameters()[1]
    assert_close([late.detach()], descend(create(name, [alone]), [alone], [[step[1]] for step in steps[3:]]))


def network() -> nn.Sequential:
    model = nn.Sequential(nn.utils.skip_init(nn.Linear, 3, 4), nn.Tanh(), nn.utils.skip_init(nn.Linear, 4, 1))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


@every_variant
def test_a_fit_that_was_stopped_goes_on_bit_for_bit(name: str, semantics: str, tmp_path: Path):
    batches = [torch.randn(4, 3, generator=torch.Generator().manual_seed(step)) for step in range(3)]

    def player() -> Player:
        model = network()
        optimizer = create(name, model.parameters(), semantics=semantics, lr=0.01, feasible=(-1.5, 1.5))
        return Player(model, lambda x: model(x).square().mean(), optimizer, scheduler=InverseSqrt(optimizer))

    straight, stopped, resumed = player(), player(), player()
    fit(straight, batches, steps=6)
    fit(stopped, batches, steps=3, checkpoint=tmp_path)
    fit(resumed, batches, steps=6, checkpoint=tmp_path)
    for mine, theirs in zip(resumed.model.parameters(), straight.model.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.abs().max() <= 1.5
