"""What the report says, in which words, and that a check leaves no trace."""

import copy
import random
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, library, nn

from torchstone.nets import DropBlock, seeded
from torchstone.smoothness import (
    C0,
    C1,
    Lipschitz,
    NotDifferentiableError,
    Order,
    PiecewiseLinear,
    Report,
    check,
    register,
    smooth,
)


def codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def of_inputs(function: Callable[[Tensor], Any], *x: float, **options: Any) -> Report:
    return check(function, torch.tensor(x), wrt="inputs", **options)


# Findings -------------------------------------------------------------------------------------------------------------


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        with seeded(0):
            self.enc, self.table, self.spare = nn.Linear(3, 4), nn.Embedding(4, 2), nn.Linear(2, 2)
        self.spare.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        z = torch.relu(self.enc(x))
        k = z.argmax(-1)  # the line that the report must name
        return self.table(k)


def test_a_finding_names_the_line_the_path_and_the_cure() -> None:
    report = check(Encoder(), torch.ones(2, 3), loss=lambda y: y.square().mean())
    assert (report.live, report.frozen) == (("table.weight",), ("spare.bias",))
    assert sorted(report.blocked) == ["enc.bias", "enc.weight", "spare.weight"]
    finding = report.blocked["enc.weight"]
    assert (finding.code, finding.severity, finding.op) == ("GRAD-ZERO", "error", "argmax")
    assert finding.message == "parameter 'enc.weight' gets no gradient: 'argmax' has derivative 0 almost everywhere"
    assert finding.file == __file__
    assert finding.source == "k = z.argmax(-1)  # the line that the report must name"
    operations = [step.split(" (")[0] for step in finding.path]
    assert operations == ["enc.weight", "linear", "relu", "argmax", "embedding", "square", "mean", "result"]
    assert "score-function" in finding.hint
    assert report.blocked["spare.weight"].code == "UNUSED"
    assert codes(report) == ["GRAD-ZERO", "GRAD-ZERO", "UNUSED", "FROZEN"]
    assert report.order == Order.DISCONTINUOUS


def test_errors_raise_and_carry_the_report() -> None:
    report = check(Encoder(), torch.ones(2, 3))
    with pytest.raises(NotDifferentiableError, match=r"GRAD-ZERO.*\n.*test_check.py") as raised:
        report.raise_if("error")
    assert raised.value.report is report
    fine = of_inputs(torch.relu, 1.0)
    assert fine.raise_if("error") is fine.raise_if("warning") is fine
    with pytest.raises(ValueError, match="severity must be one of error, warning, info"):
        fine.raise_if("fatal")  # type: ignore[arg-type]


def test_the_kinds_of_cuts_say_what_they_are() -> None:
    w = torch.ones(3, requires_grad=True)

    def without_gradients(x: Tensor) -> Tensor:
        with torch.no_grad():
            return (w * x).sum() + 1

    def reason(program: Callable[[Tensor], Any]) -> str:
        return check(program, torch.ones(3), params=[w]).blocked["params[0]"].message.split(": ", 1)[1]

    assert reason(lambda x: (w * x).detach().sum()) == "'detach' cuts the gradient off"
    assert reason(lambda x: (w.data * x).sum()) == "'.data' is a tensor without a history"
    assert reason(without_gradients) == "'mul' runs where gradients are switched off"
    assert reason(lambda x: x.sum() * (w * x).sum().item()) == "it leaves torch as a number by 'item'"
    assert reason(lambda x: torch.tensor([(w * x).sum().detach()]).sum()) == "'detach' cuts the gradient off"
    assert reason(lambda x: (w * x).int().sum()) == "'int' has derivative 0 almost everywhere"
    assert reason(lambda x: (w * x).numpy(force=True).sum() * x) == "it leaves torch as a number by 'numpy'"


def test_a_branch_of_python_is_named_and_one_on_finiteness_is_none() -> None:
    report = of_inputs(lambda x: x.sum() if (x > 0).all() else -x.sum(), 1.0, 2.0)
    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("PY-BRANCH", "warning")
    assert [decision.value for decision in report.decisions] == [True]
    assert codes(of_inputs(lambda x: x.sum() if x.isfinite().all() else -x.sum(), 1.0)) == []
    w = torch.ones((), requires_grad=True)
    unused = check(lambda x: x.sum() if w < 5 else w, torch.ones(1), params={"w": w}).blocked["w"]
    assert unused.message == "parameter 'w' gets no gradient: 'lt' has derivative 0 almost everywhere"


DOMAINS: dict[str, tuple[Callable[[Tensor], Tensor], tuple[float, ...], tuple[float, ...]]] = {
    #               program, a sample where all is well, one where it is not
    "sqrt": (torch.sqrt, (1.0, 2.0), (1.0, 0.0)),
    "rsqrt": (torch.rsqrt, (1.0, 2.0), (1.0, 0.0)),
    "log": (torch.log, (1.0, 2.0), (1.0, 0.0)),
    "log1p": (torch.log1p, (1.0, 0.0), (1.0, -1.0)),
    "div": (lambda x: 1 / x, (1.0, -2.0), (1.0, 0.0)),
    "div of two": (lambda x: x / x.sum(), (1.0, 2.0), (1.0, -1.0)),
    "power": (lambda x: x**0.5, (1.0, 2.0), (1.0, 0.0)),
    "negative power": (lambda x: x**-2, (1.0, -2.0), (1.0, 0.0)),
    "tensor power": (lambda x: x**x, (1.0, 2.0), (1.0, -2.0)),
    "asin": (torch.asin, (0.5, -0.5), (0.5, 1.0)),
    "atanh": (torch.atanh, (0.5, -0.5), (0.5, 1.0)),
    "acosh": (torch.acosh, (1.5, 2.5), (1.5, 1.0)),
    "logit": (torch.logit, (0.5, 0.1), (0.5, 1.0)),
    "std": (torch.std, (1.0, 2.0), (1.0, 1.0)),
    "atan2": (lambda x: torch.atan2(x[0], x[1]), (1.0, 0.0), (0.0, 0.0)),
    "xlogy": (lambda x: torch.xlogy(2.0, x), (1.0, 2.0), (1.0, 0.0)),
    "binary cross entropy": (lambda x: F.binary_cross_entropy(x, torch.ones(2)), (0.2, 0.7), (0.2, 0.0)),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_domains_are_side_conditions_and_warnings_only_where_the_sample_leaves_them(name: str) -> None:
    program, well, ill = DOMAINS[name]
    fine, bad = of_inputs(program, *well), of_inputs(program, *ill)
    assert (fine.order, codes(fine), [c.holds for c in fine.side_conditions]) == (Order.ANALYTIC, [], [True])
    assert (codes(bad), [c.holds for c in bad.side_conditions]) == (["DOMAIN"], [False])


PROVED: dict[str, Callable[[Tensor], Tensor]] = {
    "eps": lambda x: (x.square().sum() + 1e-6).sqrt(),
    "softplus": lambda x: (F.softplus(x) + 1e-3).log(),
    "clamped": lambda x: x.clamp(min=1e-3).log(),
    "clamp_min": lambda x: 1 / x.abs().clamp_min(0.1),
    "even power": lambda x: 1 / (x**4 + 1),
    "itself": lambda x: (1 + x * x).rsqrt(),
    "difference": lambda x: (2 - torch.tanh(x)).log(),
    "softmax": lambda x: (F.softmax(x, 0) * 0.9 + 0.05).log(),
    "quotient": lambda x: (1 / (2 + x.cos()) + 1).sqrt(),
    "constant": lambda x: x * torch.tensor([2.0, 3.0]).log(),
}


@pytest.mark.parametrize("name", PROVED)
def test_what_ranges_prove_is_no_condition(name: str) -> None:
    report = of_inputs(PROVED[name], 0.3, -0.4)
    assert report.side_conditions == ()


def test_the_branch_that_where_drops() -> None:
    trap = of_inputs(lambda x: torch.where(x > 0, x.sqrt(), 0.0), 1.0, -1.0)
    safe = of_inputs(lambda x: torch.where(x > 0, torch.where(x > 0, x, 1.0).sqrt(), 0.0), 1.0, -1.0)
    masked = of_inputs(lambda x: x.log().masked_fill(x <= 0, 0.0), 1.0, -1.0)
    assert (codes(trap), codes(safe), codes(masked)) == (["NAN-BRANCH"], [], ["NAN-BRANCH"])
    (finding,) = trap.findings
    assert "'where' at test_check.py" in finding.message


def test_a_declaration_is_taken() -> None:
    piecewise = of_inputs(lambda x: torch.where(x > 0, x**2, 0.0), 1.0, -1.0)
    declared = of_inputs(lambda x: smooth(1, torch.where(x > 0, x**2, 0.0)), 1.0, -1.0)
    assert (piecewise.order, declared.order) == (Order.DISCONTINUOUS, Order(1))
    assert of_inputs(lambda x: torch.relu(smooth(1, torch.where(x > 0, x**2, 0.0))), 1.0).order == Order(0)


# Hand-written and unknown operations ----------------------------------------------------------------------------------


class Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class Declared(Rounded):
    smoothness, lipschitz = C1, 3.0


def test_hand_written_derivatives_are_trusted_and_named() -> None:
    report = of_inputs(lambda x: Rounded.apply(2 * x).sum(), 0.3, 0.6)
    assert (report.live, report.order, codes(report)) == (("inputs[0]",), Order.UNKNOWN, ["CUSTOM"])
    declared = of_inputs(lambda x: Declared.apply(2 * x), 0.3, 0.6)
    assert (declared.order, declared.lipschitz) == (Order(1), pytest.approx(6.0))


def test_a_hand_written_function_may_differentiate_what_it_only_uses() -> None:
    w = torch.ones(2, requires_grad=True)

    class Scaled(Rounded):  # checkpoints that are reentrant do the like
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return (x * w).tanh()

    report = check(lambda x: Scaled.apply(x.requires_grad_()).sum(), torch.ones(2), params={"w": w})
    assert (report.live, codes(report)) == (("w",), ["CUSTOM"])


def test_unknown_operations_are_unknown_until_registered() -> None:
    @library.custom_op("torchstone_test::bump", mutates_args=())
    def bump(x: Tensor) -> Tensor:
        return torch.exp(-x * x)

    bump.register_autograd(lambda ctx, gradient: gradient, setup_context=lambda ctx, inputs, output: None)
    operation = torch.ops.torchstone_test.bump
    unknown = of_inputs(lambda x: operation(x).sum(), 1.0, 2.0)
    assert (unknown.order, unknown.live, codes(unknown)) == (Order.UNKNOWN, ("inputs[0]",), ["UNKNOWN"])
    register("torchstone_test::bump", order=Order.SMOOTH, lipschitz=1, range=(0, 1))
    known = of_inputs(lambda x: (operation(x) + 1).log(), 1.0, 2.0)
    assert (known.order, known.lipschitz, codes(known), known.side_conditions) == (
        Order.SMOOTH,
        pytest.approx(1),
        [],
        (),
    )


def test_registered_functions() -> None:
    def staircase(x: Tensor) -> Tensor:
        return x.detach().round().requires_grad_(False) + 0 * x

    wrapped = torch.overrides.wrap_torch_function(lambda x: (x,))(staircase)
    register(wrapped, order=-1, flat=True)
    assert codes(of_inputs(lambda x: wrapped(x).sum(), 1.0)) == ["GRAD-ZERO"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"op": 3, "order": 0}, TypeError, "op must be the name of an operation or a function, but it is of type int"),
        ({"op": "a", "order": 0.5}, ValueError, "times must be"),
        ({"op": "a", "order": 0, "lipschitz": -1}, ValueError, "lipschitz must be 0 or more"),
        ({"op": "a", "order": 0, "range": (1, 0)}, ValueError, "range go from low to high"),
    ],
)
def test_what_cannot_be_registered(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        register(**options)


# Arguments ------------------------------------------------------------------------------------------------------------


def test_requirements() -> None:
    assert codes(of_inputs(torch.relu, 1.0, require=C0)) == []
    (finding,) = of_inputs(lambda x: torch.relu(x) + 1, 1.0, require=C1).findings
    assert (finding.code, finding.severity, finding.op) == ("ORDER", "error", "relu")
    assert finding.message.startswith("C1 is required, but this is C0: 'relu' at test_check.py:")
    assert codes(of_inputs(lambda x: 3 * x, 1.0, require=Lipschitz(3.0))) == []
    assert codes(of_inputs(lambda x: 3 * x, 1.0, require=Lipschitz(2.9))) == ["ORDER"]
    assert codes(of_inputs(torch.relu, 1.0, require=PiecewiseLinear)) == []
    assert codes(of_inputs(torch.tanh, 1.0, require=PiecewiseLinear)) == ["ORDER"]
    assert codes(of_inputs(lambda x: x**2, 1.0, require=2)) == []
    with pytest.raises(TypeError, match="require must be an order such as C1"):
        of_inputs(torch.relu, 1.0, require="C1")


def test_sources_by_name() -> None:
    net, x = Encoder(), torch.ones(2, 3)
    assert "enc.weight" in check(net.forward, x).blocked
    assert check(lambda x: net.enc(x), x, params=net.enc).live == ("weight", "bias")
    assert check(lambda x: net.enc(x), x, params=net.enc.parameters()).live == ("params[0]", "params[1]")
    assert check(lambda x: net.enc(x), x, params={"w": net.enc.weight}).live == ("w",)
    assert check(lambda d: d["x"][0] * 2, {"x": [x, torch.arange(3)]}, wrt="inputs").live == ("inputs[0]['x'][0]",)
    both = check(net.enc, x, wrt="both")
    assert both.live == ("weight", "bias", "inputs[0]")


def test_a_parameter_with_two_names_is_reported_under_both() -> None:
    net = nn.ModuleDict({"a": nn.Identity(), "b": nn.Identity()})
    net["a"].weight = net["b"].weight = nn.Parameter(torch.ones(2))  # type: ignore[assignment]
    assert check(lambda x: (net["a"].weight * x).sum(), torch.ones(2), params=net).live == ("a.weight", "b.weight")
    unused = check(lambda x: x.sum(), torch.ones(2), params=net)
    assert list(unused.blocked) == ["a.weight", "b.weight"]


def test_the_parameters_of_a_loss_count() -> None:
    net, loss = Encoder().enc, nn.PReLU()
    assert check(net, torch.ones(2, 3), loss=loss).live == ("weight", "bias", "loss.weight")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((3, torch.ones(2)), {}, TypeError, "program must be a module or a function, but it is of type int"),
        ((torch.relu, torch.ones(2)), {"loss": 3}, TypeError, "loss must be a module or a function"),
        ((torch.relu, torch.ones(2)), {}, ValueError, "nothing to differentiate with respect to"),
        ((torch.relu, torch.arange(2)), {"wrt": "inputs"}, ValueError, "no floating-point tensor among"),
        ((torch.relu, torch.ones(2)), {"wrt": "weights"}, ValueError, "wrt must be 'params', 'inputs' or 'both'"),
        ((torch.relu, torch.ones(2)), {"params": [3]}, TypeError, r"'params\[0\]' is a int"),
        ((lambda x: None, torch.ones(2)), {"wrt": "inputs"}, TypeError, "an object of type NoneType without a tensor"),
        ((nn.LazyLinear(2), torch.ones(2)), {}, ValueError, "parameter 'weight' has no shape yet. Run the lazy module"),
        ((nn.Linear(2, 2, device="meta"), torch.ones(2)), {}, ValueError, "is on the meta device"),
    ],
)
def test_arguments_that_will_not_do(
    arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        check(*arguments, **options)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, when it first compiles
def test_compiled_programs_are_refused() -> None:
    plain, compiled = Encoder().enc, partial(torch.compile, backend="eager")
    for program in (compiled(lambda x: x), compiled(plain), nn.Sequential(compiled(plain))):
        with pytest.raises(TypeError, match=r"compiled by torch.compile.* pass the uncompiled module"):
            check(program, torch.ones(2, 3))
    with pytest.raises(TypeError, match=r"is a TorchScript module.* pass the Python module"):
        check(torch.jit.script(plain), torch.ones(2, 3))


def test_an_error_of_the_program_comes_through_with_a_note() -> None:
    with pytest.raises(RuntimeError, match="size") as raised:
        of_inputs(lambda x: x @ torch.ones(7), 1.0, 2.0)
    assert "while torchstone.smoothness.check ran" in raised.value.__notes__[0]


# No trace -------------------------------------------------------------------------------------------------------------


class Busy(nn.Module):
    """Changes all that a forward pass can change."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        with seeded(0):
            self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), DropBlock(0.2, ramp=5))
            self.norm = nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))
        self.register_buffer("count", torch.zeros(()))
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        self.eval()
        self.train()
        self.count = self.count + 1  # rebound
        noise = torch.rand(x.shape, generator=self.generator) + random.random() + float(np.random.rand())  # noqa: NPY002
        x += noise  # the caller's own
        with torch.no_grad():
            self.norm.bias.mul_(2)
        self.layers[0].weight.data = self.layers[0].weight.data + 1  # type: ignore[union-attr, operator]
        h: Tensor = self.norm(self.layers(x).mean((2, 3)))
        h.sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
        self.norm.bias.requires_grad_(False)
        return h


@pytest.mark.parametrize("wrt", ["params", "inputs", "both"])
@pytest.mark.parametrize("graded", [True, False])
def test_everything_is_left_as_it_was_found(wrt: Any, graded: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    net, x = Busy(generator), torch.ones(2, 1, 8, 8)
    net.layers[1].eval()
    if graded:
        for parameter in net.parameters():
            parameter.grad = torch.full_like(parameter, 7.0)
    weight = net.layers[0].weight
    memory = weight.data_ptr()  # type: ignore[operator]
    before = copy.deepcopy((net.state_dict(), [p.grad for p in net.parameters()], x, generator.get_state()))
    flags = [(part.training) for part in net.modules()], [p.requires_grad for p in net.parameters()]
    for _ in range(2):
        check(net, x, wrt=wrt)
    after = net.state_dict(), [p.grad for p in net.parameters()], x, generator.get_state()
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert ([part.training for part in net.modules()], [p.requires_grad for p in net.parameters()]) == flags
    assert net.layers[0].weight is weight
    assert weight.data_ptr() == memory  # type: ignore[operator]


def test_a_failed_check_leaves_no_trace_either() -> None:
    norm, x = nn.BatchNorm1d(2), torch.ones(3, 2)
    with pytest.raises(RuntimeError):
        check(norm, x, loss=lambda y: y @ torch.ones(7))
    assert (norm.running_mean.tolist(), int(norm.num_batches_tracked)) == ([0, 0], 0)  # type: ignore[union-attr, arg-type]


def test_the_same_report_twice() -> None:
    net, x = Encoder(), torch.ones(2, 3)
    assert str(check(net, x)) == str(check(net, x))


def test_a_check_works_where_gradients_are_off() -> None:
    net, x = Encoder().enc, torch.ones(2, 3)
    with torch.no_grad():
        assert check(net, x).live == ("weight", "bias")
    with torch.inference_mode():
        assert check(net, x).live == ("weight", "bias")


@pytest.mark.parametrize("op", [torch.exp, torch.log1p, torch.sqrt, torch.sigmoid, torch.sin])
def test_a_function_of_parameters_where_the_program_turns_gradients_off(op: Callable[[Tensor], Tensor]) -> None:
    w = nn.Parameter(torch.arange(1.0, 4.0))

    def loss() -> Tensor:
        with torch.no_grad():
            target = op(w)
        return (w - target).square().sum()

    report = check(loss, params={"w": w})
    assert report.live == ("w",)


def test_inputs_and_what_a_module_keeps_are_left_as_they_were() -> None:
    class Stateful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.state, self.calls = nn.Linear(3, 3), torch.zeros(3), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.state = torch.tanh(self.layer(x.requires_grad_()) + self.state)
            return self.state.sum()

    with seeded(0):
        net, x = Stateful(), torch.ones(2, 3)
    check(net, x)
    assert (net.calls, net.state.shape, x.requires_grad) == (0, (3,), False)


def test_named_tuples_are_taken_and_a_tensor_for_parameters_is_not() -> None:
    pair = namedtuple("pair", "a b")(torch.ones(3), torch.ones(3))
    assert len(check(lambda p: (p.a * p.b).sum(), pair, wrt="inputs").live) == 2
    with pytest.raises(TypeError, match=r"give \[tensor\]"):
        check(torch.sum, pair.a, params=torch.ones(3, requires_grad=True))
