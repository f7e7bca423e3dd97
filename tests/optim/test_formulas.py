"""Every rule in every semantics is what plain numpy computes.

The formulas were held against Keras 3.15.1 and optax 0.2.8 once, in float64: thirty steps agreed to 1e-14.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from torchstone.optim import RULES, create

Array = NDArray[np.float64]
Steps = Iterator[tuple[float, Array]]
"""Step size and gradient of t = 1, 2, ..."""
Formula = Callable[[Array, Steps], Iterator[Array]]


def sgd(x: Array, steps: Steps) -> Iterator[Array]:
    for lr, g in steps:
        x = x - lr * g
        yield x


def momentum(inside: bool, nesterov: bool = False, mu: float = 0.9) -> Formula:
    def formula(x: Array, steps: Steps) -> Iterator[Array]:
        b = np.zeros_like(x)
        for lr, g in steps:
            inner, outer = (lr, 1.0) if inside else (1.0, lr)
            b = mu * b + inner * g
            x = x - outer * (mu * b + inner * g if nesterov else b)
            yield x

    return formula


def adagrad(eps: float, start: float = 0.0, in_root: bool = False) -> Formula:
    def formula(x: Array, steps: Steps) -> Iterator[Array]:
        s = np.full_like(x, start)
        for lr, g in steps:
            s = s + g**2
            x = x - lr * g / (np.sqrt(s + eps) if in_root else np.sqrt(s) + eps)
            yield x

    return formula


def adadelta(rho: float, eps: float) -> Formula:
    def formula(x: Array, steps: Steps) -> Iterator[Array]:
        s, u = np.zeros_like(x), np.zeros_like(x)
        for lr, g in steps:
            s = rho * s + (1 - rho) * g**2
            d = np.sqrt(u + eps) / np.sqrt(s + eps) * g
            u = rho * u + (1 - rho) * d**2
            x = x - lr * d
            yield x

    return formula


def rmsprop(
    rho: float, eps: float, in_root: bool = False, mu: float = 0.0, inside: bool = False, centered: bool = False
) -> Formula:
    def formula(x: Array, steps: Steps) -> Iterator[Array]:
        v, mean, b = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
        for lr, g in steps:
            v, mean = rho * v + (1 - rho) * g**2, rho * mean + (1 - rho) * g
            w = v - mean**2 if centered else v
            inner, outer = (lr, 1.0) if inside else (1.0, lr)
            b = mu * b + inner * g / (np.sqrt(w + eps) if in_root else np.sqrt(w) + eps)
            x = x - outer * b
            yield x

    return formula


def adam(eps: float, hat: bool = False, largest: str = "") -> Formula:
    """``largest``: "none", "after_max" or "before_max" of AMSGrad."""

    def formula(x: Array, steps: Steps) -> Iterator[Array]:
        m, v, top = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
        for t, (lr, g) in enumerate(steps, 1):
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            c1, c2 = (1.0, 1.0) if largest == "none" else (1 - 0.9**t, 1 - 0.999**t)
            top = np.maximum(top, v / c2 if largest == "before_max" else v)
            w = v / c2 if not largest else top if largest == "before_max" else top / c2
            x = x - lr * (m / c1) / (np.sqrt(w) + (eps / np.sqrt(c2) if hat else eps))
            yield x

    return formula


def nadam(psi: float | None, eps: float = 1e-8, paper: bool = False) -> Formula:
    def mu(t: int) -> float:
        return 0.9 if psi is None else 0.9 * (1 - 0.5 * 0.96 ** (t * psi))

    def formula(x: Array, steps: Steps) -> Iterator[Array]:
        m, v = np.zeros_like(x), np.zeros_like(x)
        for t, (lr, g) in enumerate(steps, 1):
            beta1 = mu(t) if paper else 0.9
            m, v = beta1 * m + (1 - beta1) * g, 0.999 * v + 0.001 * g**2
            now, later = (np.prod([mu(i) for i in range(1, last + 1)]) for last in (t, t + 1))
            direction = mu(t + 1) * m / (1 - later) + (1 - mu(t)) * g / (1 - now)
            x = x - lr * direction / (np.sqrt(v * (0.999 if paper else 1) / (1 - 0.999**t)) + eps)
            yield x

    return formula


def adamnc(eps: float) -> Formula:
    def formula(x: Array, steps: Steps) -> Iterator[Array]:
        m, total = np.zeros_like(x), np.zeros_like(x)
        for t, (lr, g) in enumerate(steps, 1):
            m, total = 0.9 * m + 0.1 * g, total + g**2
            x = x - lr * m / (np.sqrt(total / t) + eps)
            yield x

    return formula


FORMULAS: dict[tuple[str, str], Formula] = {
    **{("sgd", semantics): sgd for semantics in ("torch", "paper", "keras", "optax")},
    ("momentum", "torch"): momentum(inside=False),
    ("momentum", "paper"): momentum(inside=True),
    ("momentum", "keras"): momentum(inside=True),
    ("momentum", "optax"): momentum(inside=False),
    ("nesterov", "torch"): momentum(inside=False, nesterov=True),
    ("nesterov", "paper"): momentum(inside=True, nesterov=True),
    ("nesterov", "keras"): momentum(inside=True, nesterov=True),
    ("nesterov", "optax"): momentum(inside=False, nesterov=True),
    ("adagrad", "torch"): adagrad(1e-10),
    ("adagrad", "paper"): adagrad(0.0),
    ("adagrad", "keras"): adagrad(1e-7, 0.1, in_root=True),
    ("adagrad", "optax"): adagrad(1e-7, 0.1, in_root=True),
    ("adadelta", "torch"): adadelta(0.9, 1e-6),
    ("adadelta", "paper"): adadelta(0.95, 1e-6),
    ("adadelta", "keras"): adadelta(0.95, 1e-7),
    ("adadelta", "optax"): adadelta(0.9, 1e-6),
    ("rmsprop", "torch"): rmsprop(0.99, 1e-8),
    ("rmsprop", "paper"): rmsprop(0.9, 0.0),
    ("rmsprop", "keras"): rmsprop(0.9, 1e-7, in_root=True),
    ("rmsprop", "optax"): rmsprop(0.9, 1e-8, in_root=True),
    ("rmsprop_momentum", "torch"): rmsprop(0.99, 1e-8, mu=0.9),
    ("rmsprop_momentum", "paper"): rmsprop(0.95, 1e-4, in_root=True, mu=0.9, inside=True, centered=True),
    ("rmsprop_momentum", "keras"): rmsprop(0.9, 1e-7, in_root=True, mu=0.9, inside=True),
    ("rmsprop_momentum", "optax"): rmsprop(0.9, 1e-8, in_root=True, mu=0.9, inside=True),
    ("adam", "torch"): adam(1e-8),
    ("adam", "paper"): adam(1e-8),
    ("adam", "keras"): adam(1e-7, hat=True),
    ("adam", "optax"): adam(1e-8),
    ("nadam", "torch"): nadam(0.004),
    ("nadam", "paper"): nadam(0.004, paper=True),
    ("nadam", "keras"): nadam(1.0, 1e-7),
    ("nadam", "optax"): nadam(None),
    ("amsgrad", "torch"): adam(1e-8, largest="after_max"),
    ("amsgrad", "paper"): adam(0.0, largest="none"),
    ("amsgrad", "keras"): adam(1e-7, hat=True, largest="after_max"),
    ("amsgrad", "optax"): adam(1e-8, largest="before_max"),
    ("adamnc", "torch"): adamnc(1e-8),
    ("adamnc", "paper"): adamnc(0.0),
}


def test_there_is_a_formula_for_each():
    assert set(FORMULAS) == {(rule.name, semantics) for rule in RULES.values() for semantics in rule.semantics}


@pytest.mark.parametrize(("name", "semantics"), FORMULAS)
@pytest.mark.parametrize("impl", ["auto", "for", "foreach"])
def test_it_computes_its_formula(name: str, semantics: str, impl: Any):
    """With gradients of all sizes, where ε matters, and a step size that changes, where its place matters."""
    generator = np.random.default_rng(0)
    start = generator.normal(size=8)
    gradients = generator.normal(size=(20, 8)) * np.logspace(-5, 1, 8)
    rates = 0.1 / np.sqrt(np.arange(1, 21))
    x = torch.tensor(start, requires_grad=True)
    optimizer = create(name, [x], semantics=semantics, impl=impl)
    expected = FORMULAS[name, semantics](start, zip(rates, gradients, strict=True))
    for rate, gradient, after in zip(rates, gradients, expected, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        x.grad = torch.tensor(gradient)
        optimizer.step()
        np.testing.assert_allclose(x.detach().numpy(), after, rtol=1e-11, atol=1e-12)
