"""What create takes, refuses, and chooses."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from torchstone.optim import RULES, AdamNC, AMSGrad, Nadam, RMSProp, RMSPropMomentum, create
from torchstone.optim.base import ElementwiseOptimizer


def parameter(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.ones(shape, dtype=dtype, requires_grad=True)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sgd", torch.optim.SGD),
        ("momentum", torch.optim.SGD),
        ("nesterov", torch.optim.SGD),
        ("adagrad", torch.optim.Adagrad),
        ("adam", torch.optim.Adam),
        ("amsgrad", torch.optim.Adam),
        ("nadam", Nadam),
        ("rmsprop", RMSProp),
        ("rmsprop_momentum", RMSPropMomentum),
        ("adamnc", AdamNC),
    ],
)
def test_torchs_own_classes_are_used_where_they_are_fastest(name: str, kind: type):
    assert isinstance(create(name, [parameter(2)]), kind)


@pytest.mark.parametrize(
    ("impl", "dtype", "switches"),
    [
        ("auto", torch.float32, (True, None)),
        ("auto", torch.float64, (True, None)),
        ("auto", torch.bfloat16, (None, None)),
        ("auto", torch.complex64, (None, None)),
        ("for", torch.float32, (False, False)),
        ("foreach", torch.float32, (False, True)),
        ("fused", torch.float32, (True, False)),
    ],
)
def test_torchs_switches(impl: Any, dtype: torch.dtype, switches: tuple[Any, Any]):
    group = create("adam", [parameter(2, dtype=dtype)], impl=impl).param_groups[0]
    assert (group["fused"], group["foreach"]) == switches


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(
        ValueError, match=r"no rule 'Adm'\. Did you mean 'adam'\? The rules are sgd, momentum, .*adamnc"
    ):
        create("Adm", [parameter(2)])


def test_a_name_that_is_near_nothing():
    with pytest.raises(ValueError, match=r"no rule 'zzzz'\. The rules are sgd"):
        create("zzzz", [parameter(2)])


@pytest.mark.parametrize("semantics", ["keras", "optax"])
def test_a_rule_that_a_library_lacks_is_refused(semantics: Any):
    with pytest.raises(ValueError, match=f"{semantics} has no AdamNC: semantics may be torch, paper"):
        create("adamnc", [parameter(2)], semantics=semantics)


def test_unknown_semantics_are_refused():
    with pytest.raises(ValueError, match="semantics must be 'torch', 'paper', 'keras' or 'optax', but it is 'jax'"):
        create("adam", [parameter(2)], semantics="jax")  # type: ignore[arg-type]


def test_an_unknown_hyperparameter_is_refused_with_the_rules_own():
    with pytest.raises(TypeError, match=r"adam has no momentum and no rho in torch semantics.* lr, betas, eps, weight"):
        create("adam", [parameter(2)], momentum=0.9, rho=0.9)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("adam", {"lr": -1.0}, "lr must be a finite number of 0 or more, but it is -1.0"),
    ("sgd", {"lr": math.nan}, "lr must be a finite number of 0 or more, but it is nan"),
    ("adamnc", {"lr": math.inf}, "lr must be a finite number"),
    ("adam", {"betas": (0.9, 1.0)}, r"betas\[1\] must be a number in \[0, 1\), but it is 1.0"),
    ("nadam", {"betas": (-0.1, 0.9)}, r"betas\[0\] must be"),
    ("amsgrad", {"eps": -1e-8}, "eps must be"),
    ("momentum", {"momentum": 1.0}, r"momentum must be a number in \[0, 1\)"),
    ("rmsprop", {"alpha": math.nan}, "alpha must be"),
    ("adadelta", {"rho": 1.5}, "rho must be"),
    ("sgd", {"weight_decay": -1.0}, "weight_decay must be"),
    ("nadam", {"momentum_decay": -1.0}, "momentum_decay must be"),
    ("adamnc", {"beta1": 1.0}, "beta1 must be"),
    ("adamnc", {"beta1_decay": 0.0}, r"beta1_decay must lie in \(0, 1\]"),
    ("adagrad", {"initial_accumulator_value": -1.0}, "initial_accumulator_value must be"),
    ("nesterov", {"momentum": 0.0}, "(?i)nesterov momentum requires a momentum"),
    ("rmsprop_momentum", {"momentum_mode": "heavy"}, "momentum_mode must be 'preconditioned', 'torch'"),
]


@pytest.mark.parametrize(("name", "hyper", "words"), BAD)
def test_values_out_of_range_are_refused(name: str, hyper: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        create(name, [parameter(2)], **hyper)


@pytest.mark.parametrize(("name", "hyper", "words"), BAD[:13])
def test_so_are_those_of_a_group(name: str, hyper: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        create(name, [{"params": [parameter(2)], **hyper}])


@pytest.mark.parametrize(("name", "hyper", "words"), BAD[:13])
def test_so_are_those_of_a_group_that_is_added(name: str, hyper: dict[str, Any], words: str):
    optimizer = create(name, [parameter(2)])
    with pytest.raises(ValueError, match=words):
        optimizer.add_param_group({"params": [parameter(2)], **hyper})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize(
    ("hyper", "words"),
    [
        ({"lr": "fast"}, "lr must be a number, but it is 'fast'"),
        ({"lr": True}, "lr must be a number, but it is True"),
        ({"betas": 0.9}, "betas must be two numbers"),
        ({"betas": (0.9,)}, "betas must be two numbers"),
        ({"maximize": 1}, "maximize must be True or False"),
    ],
)
def test_values_of_another_type_are_refused(hyper: dict[str, Any], words: str):
    with pytest.raises(TypeError, match=words):
        create("adam", [parameter(2)], **hyper)


def test_a_step_size_may_be_a_tensor_of_one_number():
    x = parameter(1)
    x.grad = torch.ones(1)
    create("adamnc", [x], lr=torch.tensor(0.5), beta1=0.0).step()
    assert x.item() == pytest.approx(0.5)
    with pytest.raises(ValueError, match=r"lr must be one number, but it is a tensor of shape \(2,\)"):
        create("adamnc", [x], lr=torch.ones(2))


@pytest.mark.parametrize("name", [name for name, rule in RULES.items() if "eps" in rule.defaults])
def test_epsilon_of_a_group_may_be_0(name: str):
    x, late = parameter(2), parameter(2)
    optimizer = create(name, [{"params": [x], "eps": 0.0}])
    optimizer.add_param_group({"params": [late], "eps": 0.0})
    x.grad, late.grad = torch.zeros(2), torch.zeros(2)
    optimizer.step()
    assert x.tolist() == late.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", RULES)
def test_integer_parameters_are_refused(name: str):
    with pytest.raises(TypeError, match=r"Parameter 1, of shape \(3,\), is of type torch.int64, but only"):
        create(name, [parameter(2), torch.zeros(3, dtype=torch.int64)])


@pytest.mark.parametrize("params", [nn.Linear(2, 2), torch.ones(2, requires_grad=True), None, "weights"])
def test_what_is_no_list_of_parameters_is_refused(params: Any):
    for name in ("sgd", "adamnc"):
        with pytest.raises(TypeError, match=r"params must be parameters.* model\.parameters\(\), but it is a "):
            create(name, params)


def test_a_group_without_parameters_is_refused():
    for name in ("sgd", "adamnc"):
        with pytest.raises(ValueError, match=r"parameter group must have 'params', but this one has only lr"):
            create(name, [{"lr": 0.1}])


def test_the_implementation_of_a_group_is_checked():
    with pytest.raises(ValueError, match="impl must be 'auto', 'for', 'foreach' or 'fused', but it is 'quick'"):
        create("adamnc", [{"params": [parameter(2)], "impl": "quick"}])


@pytest.mark.parametrize("name", ["sgd", "adam", "adagrad"])
def test_a_fused_kernel_is_refused_for_parameters_with_gaps(name: str):
    with pytest.raises(ValueError, match=r"impl='fused' needs parameters without gaps"):
        create(name, [torch.ones(3, 2)[:, 0].requires_grad_()], impl="fused")


@pytest.mark.parametrize("name", RULES)
def test_no_parameters_are_refused(name: str):
    with pytest.raises(ValueError, match="empty parameter list"):
        create(name, [])


@pytest.mark.parametrize("impl", ["quick", None])
def test_an_unknown_implementation_is_refused(impl: Any):
    for make in (lambda: create("adam", [parameter(2)], impl=impl), lambda: AdamNC([parameter(2)], impl=impl)):
        with pytest.raises(ValueError, match="impl must be 'auto', 'for', 'foreach' or 'fused'"):
            make()


@pytest.mark.parametrize(
    ("kind", "option"), [(AMSGrad, "bias_correction"), (RMSPropMomentum, "momentum_mode"), (Nadam, "schedule")]
)
def test_unknown_variants_are_refused(kind: Any, option: str):
    with pytest.raises(ValueError, match=f"{option} must be .* but it is 'none of them'"):
        kind([parameter(2)], **{option: "none of them"})


@pytest.mark.parametrize("name", [name for name in RULES if name not in ("sgd", "momentum", "nesterov")])
def test_sparse_gradients_are_refused(name: str):
    embedding = nn.Embedding(5, 2, sparse=True, _weight=torch.ones(5, 2))
    other = parameter(2)
    optimizer = create(name, [other, embedding.weight])
    other.grad = torch.ones(2)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse") as raised:
        optimizer.step()
    if isinstance(optimizer, ElementwiseOptimizer):
        assert str(raised.value).startswith("Parameter 1 of group 0, of shape (5, 2), has a sparse gradient, and ")


def test_plain_descent_takes_sparse_gradients_one_by_one():
    embedding = nn.Embedding(5, 2, sparse=True, _weight=torch.ones(5, 2))
    optimizer = create("sgd", embedding.parameters(), lr=0.5, impl="for")
    embedding(torch.tensor([1])).sum().backward()
    optimizer.step()
    assert embedding.weight[1].tolist() == [0.5, 0.5]


@pytest.mark.parametrize("name", RULES)
def test_a_gradient_that_is_not_finite_shows(name: str):
    """In the number that it belongs to, and in no other."""
    x = parameter(3)
    optimizer = create(name, [x])
    x.grad = torch.tensor([1.0, math.nan, 1.0])
    optimizer.step()
    assert x.isnan().tolist() == [False, True, False]


def test_every_rule_says_what_it_is():
    assert list(RULES) == [
        *("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "rmsprop_momentum"),
        *("adam", "nadam", "amsgrad", "adamnc"),
    ]
    assert {rule.name for rule in RULES.values() if rule.converges} == {
        *("sgd", "momentum", "nesterov", "adagrad", "amsgrad", "adamnc")
    }
    for name, rule in RULES.items():
        assert rule.name == name
        assert rule.defaults == rule.semantics["torch"].defaults
        assert all((rule.title, rule.phi, rule.psi, rule.alpha, rule.paper))
