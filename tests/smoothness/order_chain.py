"""Read by type checkers, never run: ``test_type_checkers`` expects errors on the lines marked REFUSED, and no other."""

from typing import Any, assert_type

import torch
from torch import Tensor

from torchstone.smoothness import C0, C1, C2, Analytic, Lipschitz, Map, differentiable


def bump(x: Tensor) -> Tensor:
    return torch.exp(-x.square())


def blend(x: Tensor, y: Tensor) -> Tensor:
    return x * y


@differentiable(C1)
def energy(x: Tensor, scale: float = 1.0) -> Tensor:
    return scale * torch.nn.functional.elu(x)


def needs_c0(map: Map[Any, C0]) -> None: ...


def needs_c1(map: Map[Any, C1]) -> None: ...


def needs_c2(map: Map[Any, C2]) -> None: ...


def never_run() -> None:
    analytic = Map(bump, Analytic, Lipschitz(1))
    once = Map(bump, C1)
    continuous = Map(bump, C0)
    two = Map(blend, C2)

    # The chain: the stronger word is taken where the weaker is asked for.
    needs_c1(analytic)
    needs_c1(once)
    needs_c1(continuous)  # REFUSED
    needs_c0(once)
    needs_c2(once)  # REFUSED

    # Composition, sum and multiple have the weaker order of their two sides, in either order.
    assert_type((analytic >> once).order, type[C1])
    assert_type((once >> analytic).order, type[C1])
    assert_type((analytic >> once >> continuous).order, type[C0])
    assert_type((continuous >> once >> analytic).order, type[C0])
    assert_type((analytic + once).order, type[C1])
    assert_type((continuous + once).order, type[C0])
    assert_type((3 * once).order, type[C1])
    assert_type((two >> once).order, type[C1])
    needs_c1(3 * (analytic >> once) + analytic)
    needs_c1(analytic >> continuous)  # REFUSED
    needs_c1(continuous + once)  # REFUSED

    # Arguments stay typed.
    (two >> once)(torch.ones(1), torch.ones(1))
    (two >> once)(torch.ones(1))  # REFUSED
    once >> two  # REFUSED
    two + once  # REFUSED

    # What is no map, and what is no number.
    analytic >> torch.relu  # REFUSED
    torch.relu >> analytic  # REFUSED
    "3" * analytic  # REFUSED

    # A function that the decorator checks has its class, and keeps its arguments.
    assert_type(energy.order, type[C1])
    needs_c1(energy >> analytic)
    needs_c2(energy)  # REFUSED
    energy(torch.ones(1), scale=2.0)
    energy(torch.ones(1), scale="2")  # REFUSED
