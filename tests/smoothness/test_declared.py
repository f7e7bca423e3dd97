"""``smooth`` changes nothing; ``verify_smooth`` finds the order of functions whose order is known."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from torchstone.smoothness import smooth, verify_smooth
from torchstone.smoothness.declared import lasting_jump

X = torch.linspace(-1, 1, 5, dtype=torch.float64)

ORDERS = [
    ("step", lambda x: (x > 0.1).to(x), -1),
    ("relu", F.relu, 0),
    ("total", lambda x: F.relu(x).sum(), 0),
    ("elu", F.elu, 1),
    ("relu^2", lambda x: F.relu(x) ** 2, 1),
    ("huber", lambda x: F.smooth_l1_loss(x, torch.zeros_like(x)), 1),
    ("relu^3", lambda x: F.relu(x) ** 3, 2),
    ("relu^4", lambda x: F.relu(x) ** 4, 3),
    ("steep tanh", lambda x: torch.tanh(100 * x), math.inf),
    ("gelu", F.gelu, math.inf),
    ("flat at 0", lambda x: torch.where(x > 0, torch.exp(-1 / x.clamp(min=1e-9)), 0), math.inf),
]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("function", "order"), [case[1:] for case in ORDERS], ids=[case[0] for case in ORDERS])
def test_exactly_the_orders_that_hold_pass(function: Callable[[Tensor], Tensor], order: float) -> None:
    for p in range(4):
        declared = lambda x, p=p: smooth(p, function(x))  # noqa: E731
        if p <= order:
            verify_smooth(declared, X, generator=seeded(), lines=4)
        else:
            with pytest.raises(AssertionError, match=r"smooth\(\d, ...\) does not hold"):
                verify_smooth(declared, X, generator=seeded(), lines=4)


def test_a_jump_is_measured() -> None:
    assert lasting_jump(lambda t: torch.tensor([3.0 * (t > 0.2)], dtype=torch.float64), 0) == pytest.approx(3)
    assert lasting_jump(lambda t: torch.tensor([2.0 * abs(t)], dtype=torch.float64), 1) == pytest.approx(4)
    assert lasting_jump(lambda t: torch.tensor([t * abs(t)], dtype=torch.float64), 2) == pytest.approx(4, rel=1e-4)
    assert lasting_jump(lambda t: torch.tensor([math.cos(5 * t)], dtype=torch.float64), 2) == 0


def test_every_declaration_is_tested_and_the_false_one_named() -> None:
    def two(x: Tensor) -> Tensor:
        return smooth(1, F.elu(x)) + smooth(1, F.relu(x))

    with pytest.raises(AssertionError, match="derivative 1 of the declared value 2 jumps"):
        verify_smooth(two, X, generator=seeded())


def test_values_and_gradients_are_left_alone() -> None:
    x = X.clone().requires_grad_()
    value = x.square()
    assert smooth(math.inf, value) is value
    assert torch.equal(torch.autograd.grad(smooth(2, value).sum(), x)[0], 2 * X)


def test_the_same_generator_gives_the_same_lines() -> None:
    said = []
    for _ in range(2):
        with pytest.raises(AssertionError) as error:
            verify_smooth(lambda x: smooth(1, F.relu(x)), X, generator=seeded(3))
        said.append(str(error.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("p", [-1, 0.5, math.nan, True, "1", None])
def test_an_order_is_a_whole_number_or_infinite(p: float) -> None:
    with pytest.raises(ValueError, match="p of smooth must be"):
        smooth(p, X)


def test_what_is_declared_is_a_tensor() -> None:
    with pytest.raises(TypeError, match="value of smooth must be a tensor, but it is of type float"):
        smooth(1, 3.0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("function", "inputs", "message"),
    [
        (F.relu, [X], "declares nothing"),
        (lambda x: smooth(1, x), [X.float()], "float64 tensors, .* number 1 is torch.float32"),
        (lambda x: smooth(1, x), [X, 3], "number 2 is int"),
        (lambda: smooth(1, X), [], "0 inputs"),
        (lambda x: smooth(1, x.log()), [X], "not finite near inputs"),
    ],
)
def test_what_cannot_be_verified_is_refused(
    function: Callable[..., Tensor], inputs: list[Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        verify_smooth(function, *inputs, generator=seeded())


@pytest.mark.parametrize("options", [{"lines": 0}, {"reach": 0.0}, {"reach": math.nan}])
def test_lines_and_reach_are_positive(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lines >= 1 and a reach > 0"):
        verify_smooth(lambda x: smooth(1, x), X, generator=seeded(), **options)  # type: ignore[arg-type]
