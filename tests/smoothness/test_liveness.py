"""The check says of each parameter whether a gradient reaches it; autograd is asked whether that is so."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from torchstone.smoothness import check, smooth

Parameters = dict[str, Tensor]
Program = Callable[[Tensor, Tensor, Tensor], Tensor | float]  # of w (4, 3), v (3,), x (5, 4)

PROGRAMS: dict[str, Program] = {}


def program(function: Program) -> Program:
    PROGRAMS[getattr(function, "__name__", "")] = function
    return function


def of(name: str, function: Program) -> None:
    PROGRAMS[name] = function


def draw(seed: int) -> tuple[Parameters, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    parameters = {"w": torch.randn(4, 3, generator=generator), "v": torch.randn(3, generator=generator)}
    return {name: p.requires_grad_() for name, p in parameters.items()}, torch.randn(5, 4, generator=generator)


def weigh(y: Tensor) -> Tensor:
    """A sum in which entries do not cancel."""
    return (y * torch.arange(1, y.numel() + 1, dtype=y.dtype).reshape(y.shape).sin()).sum()


of("linear", lambda w, v, x: weigh(x @ w + v))
of("square", lambda w, v, x: (x @ w + v).square().mean())
of("cut by detach", lambda w, v, x: weigh((x @ w).detach() + v))
of("detach on one path", lambda w, v, x: weigh((x @ w).detach() * (x @ w) + v.detach()))
of("data", lambda w, v, x: weigh(x @ w.data + v))
of("data after", lambda w, v, x: weigh((x @ w).data * v))
of("rounded", lambda w, v, x: weigh((x @ w).round() + v))
of("floor in place", lambda w, v, x: weigh((x @ w).floor_() + v))
of("rounded on one path", lambda w, v, x: weigh((x @ w).round() + x @ w + v.sign()))
of("straight through", lambda w, v, x: weigh((x @ w).round().detach() + x @ w - (x @ w).detach() + v.ceil()))
of("argmax picks", lambda w, v, x: weigh(v[(x @ w).argmax(-1)]))
of("argmax to float", lambda w, v, x: weigh((x @ w).argmax(-1).float() * v.sum()))
of("one hot", lambda w, v, x: weigh(F.one_hot((x @ w).argmax(-1), 3).float() * v))
of("comparison", lambda w, v, x: weigh(((x @ w) > 0).float() * v))
of("where", lambda w, v, x: weigh(torch.where(x @ w > 0, v, -v)))
of("where with values", lambda w, v, x: weigh(torch.where(x @ w > 0, x @ w, v)))
of("int", lambda w, v, x: weigh((x @ w).int() * v))
of("long index", lambda w, v, x: weigh(x[:, (w.abs() * 10).long().sum() % 4] * v.sum()))
of("item", lambda w, v, x: (x @ w).sum().item() * v.sum())
of("float", lambda w, v, x: v.sum() * float((x @ w).detach().sum()))
of("all numbers", lambda w, v, x: float((x @ w + v).detach().sum()))
of("tolist", lambda w, v, x: torch.tensor((x @ w).tolist()).sum() + v.sum())
of("numpy", lambda w, v, x: torch.from_numpy((x @ w).detach().numpy()).sum() * v.prod())
of("numpy function", lambda w, v, x: torch.as_tensor(np.tanh((x @ w).detach().numpy())).sum() * v.max())
of("torch.tensor", lambda w, v, x: torch.tensor([(x @ w).sum().detach(), 1.0]).sum() * v.min())
of("unused", lambda w, v, x: weigh(x @ w))
of("nothing", lambda w, v, x: weigh(x))
of("same twice", lambda w, v, x: weigh(torch.tanh(x @ w) @ w.T) + 0 * v.detach().sum())
of("sort", lambda w, v, x: weigh((x @ w).sort(-1).values + v))
of("argsort", lambda w, v, x: weigh((x @ w).argsort(-1) + v))
of("topk", lambda w, v, x: weigh((x @ w).topk(2).values) + v.logsumexp(0))
of("topk indices", lambda w, v, x: weigh(v[(x @ w).topk(2).indices]))
of("max values", lambda w, v, x: weigh((x @ w).max(-1)[0]) + v.amax())
of("max indices", lambda w, v, x: weigh((x @ w).max(-1)[1] * v.sum()))
of("unbind", lambda w, v, x: torch.stack([row.sum() * v[0] for row in (x @ w).unbind(0)]).prod())
of("iteration", lambda w, v, x: sum((row * v).sin().sum() for row in x @ w))
of("split", lambda w, v, x: weigh(w.split([1, 3])[1]) + v.chunk(3)[0].sum())
of("einsum", lambda w, v, x: weigh(torch.einsum("nd,dk,k->nk", x, w, v)))
of("norm", lambda w, v, x: (x @ w).norm() + torch.linalg.vector_norm(v))
of("normalize", lambda w, v, x: weigh(F.normalize(x @ w) * v))
of("cdist", lambda w, v, x: weigh(torch.cdist(x @ w, v[None])))
of("heaviside", lambda w, v, x: weigh(torch.sign(x @ w) * v.tan()))
of("rounding mode", lambda w, v, x: weigh(torch.div(x @ w, 0.5, rounding_mode="trunc") + v))
of("remainder", lambda w, v, x: weigh((x @ w) % 0.5 + torch.fmod(v, 0.3)))
of("cross entropy", lambda w, v, x: F.cross_entropy(x @ w + v, torch.tensor([0, 1, 2, 0, 1])))
of("cross entropy of labels", lambda w, v, x: F.cross_entropy(x @ w.detach() + v, (x @ w).argmax(1)))
of("soft labels", lambda w, v, x: F.cross_entropy(x @ w, torch.softmax(v, 0).expand(5, 3)))
of("kl", lambda w, v, x: F.kl_div(F.log_softmax(x @ w, -1), F.softmax(v, 0).expand(5, 3), reduction="sum"))
of("huber", lambda w, v, x: F.huber_loss(x @ w, v.expand(5, 3)) + F.smooth_l1_loss(v, v.detach() + 1))
of("attention", lambda w, v, x: weigh(F.scaled_dot_product_attention((x @ w)[None], (x @ w)[None], v.expand(1, 5, 3))))
of("bernoulli", lambda w, v, x: weigh(torch.bernoulli(torch.sigmoid(x @ w)) * v))
of("normal sample", lambda w, v, x: weigh(torch.normal(x @ w, 1.0) * v))
of("rsample", lambda w, v, x: weigh(torch.distributions.Normal(x @ w, v.exp().expand(5, 3)).rsample()))
of("sample", lambda w, v, x: weigh(torch.distributions.Normal(x @ w, 1.0).sample() * v))
of(
    "log prob of a sample",
    lambda w, v, x: weigh(torch.distributions.Categorical(logits=x @ w).log_prob(torch.arange(5) % 3)) + v.sum(),
)
of("dropout", lambda w, v, x: weigh(F.dropout(x @ w, 0.3) + v))
of("masked fill", lambda w, v, x: weigh((x @ w).masked_fill(x[:, :3] > 0, 0.0) * v))
of("gather", lambda w, v, x: weigh((x @ w).gather(1, torch.zeros(5, 1, dtype=torch.long))) + v.cumsum(0).prod())
of(
    "scatter",
    lambda w, v, x: weigh(torch.zeros(5, 3).scatter(1, torch.zeros(5, 1, dtype=torch.long), (x @ w)[:, :1])) + v[1],
)
of("smooth", lambda w, v, x: weigh(smooth(1, torch.where(x @ w > 0, (x @ w) ** 2, torch.zeros(())))) + v.sum())
of("vmap", lambda w, v, x: weigh(torch.vmap(lambda row: torch.tanh(row @ w))(x)) + v.detach().sum())
of("vmap rounds", lambda w, v, x: weigh(torch.vmap(lambda row: (row @ w).round() * v)(x)))
of("func.grad", lambda w, v, x: weigh(torch.func.grad(lambda u: ((x @ u).tanh() * v).sum())(w)))
of("checkpoint", lambda w, v, x: weigh(checkpoint(lambda h: torch.tanh(h @ w) * v, x, use_reentrant=False)))
of("fft", lambda w, v, x: torch.fft.rfft(x @ w).abs().sum() + torch.view_as_real(torch.complex(v, v)).pow(3).sum())
of("complex", lambda w, v, x: weigh((x @ w * torch.complex(v, 2 * v)).real))
of("prelu", lambda w, v, x: weigh(F.prelu(x @ w, v)))
of("sparse", lambda w, v, x: weigh(torch.sparse.mm((x @ w).to_sparse(), v.diag())))
of("gamma sample", lambda w, v, x: weigh(torch.distributions.Gamma((x @ w).exp(), 1.0).rsample() * v))
of("func.grad of another", lambda w, v, x: weigh(torch.func.grad(lambda u: ((x @ w).tanh() * u).sum())(v)))
of("contiguous", lambda w, v, x: weigh((x @ w).T.contiguous().view(-1)) + v.expand(2, 3).reshape(6).prod())
of("clamped", lambda w, v, x: weigh((x @ w).clamp(-1, 1) + v.clamp(min=-5)))
of("ones like", lambda w, v, x: weigh(torch.ones_like(x @ w) * v))
of("weights of zero shape", lambda w, v, x: weigh(x @ w * v.new_zeros(3)) + weigh(v) if x.isnan().any() else weigh(v))


@program
def no_grad(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    with torch.no_grad():
        h = torch.tanh(x @ w)
    return weigh(h * v)


@program
def inference_mode(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    with torch.inference_mode():
        h = torch.tanh(x @ w)
    return weigh(h.clone() * v)


@program
def no_grad_decorator(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    return weigh(torch.no_grad()(lambda: x @ w)() + v)


@program
def set_grad_enabled_back(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    with torch.no_grad(), torch.enable_grad():
        return weigh(x @ w + v)


@program
def written_rows(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = torch.zeros(5, 3)
    h[0] = (x @ w)[0]
    h[1:].add_(v)
    return weigh(h)


@program
def overwritten(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = x @ w
    h.zero_()
    h += v
    return weigh(h)


@program
def overwritten_by_copy(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = x @ w
    h.copy_(v.expand(5, 3))
    return weigh(h)


@program
def refilled(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = x @ w
    h.normal_()
    return weigh(h * v)


@program
def view_written_before_base_is_read(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = torch.ones(2, 3)
    row = h.view(6)[3:]
    row.mul_(v)
    return weigh(h)


@program
def base_written_before_view_is_read(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = torch.ones(5, 3)
    view = h.T
    h.copy_(x @ w)
    return weigh(view)


@program
def written_whole(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = x @ w
    h[:] = v
    return weigh(h)


@program
def zeroed_under_a_view(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = x @ w
    view = h.view(-1)
    h.zero_()
    return weigh(view) + weigh(v)


@program
def resized(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    return weigh((x @ w).detach().resize_(3) * v)


@program
def other_row_written(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = x @ w
    first, second = h[0], h[1]
    second.mul_(v)
    return weigh(first)


@program
def written_through_detached_view(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = x @ w
    h.detach().mul_(2)
    return weigh(h + v)


@program
def relu_in_place(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    return weigh(F.relu(x @ w, inplace=True) + v.relu_() if not v.requires_grad else F.relu(x @ w + v, inplace=True))


@program
def out_argument(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = torch.empty(5, 3)
    with torch.no_grad():
        torch.mm(x, w, out=h)
    return weigh(h * v)


@program
def list_and_append(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    states = [v]
    for _ in range(4):
        states.append(torch.tanh(states[-1] + (x @ w).mean(0)))
    return weigh(torch.cat(states))


@program
def branch(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    return weigh(x @ w) if (x @ w).sum() > 1e9 else weigh(v)


@program
def detached_leaf(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = (x @ w).detach().requires_grad_()
    return weigh(h * v)


@program
def gradient_penalty(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad((torch.tanh(x @ w) * v).sum(), x, create_graph=True)
    return slope.square().sum()


@program
def gradient_without_graph(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad(torch.tanh(x @ w).sum(), w)
    return weigh(slope @ v)


@program
def inner_step(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    (slope,) = torch.autograd.grad((torch.tanh(x @ w) * v).sum(), w, create_graph=True)
    return weigh(torch.tanh(x @ (w - 0.1 * slope)))


@program
def hooks_and_prints(w: Tensor, v: Tensor, x: Tensor) -> Tensor:
    h = x @ w
    h.register_hook(lambda gradient: gradient * 2)
    assert f"{h.shape} {h.dtype} {len(h)} {h}"
    return weigh(h + v)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True to a scalar:UserWarning")
def test_live_is_what_autograd_reaches(name: str) -> None:
    for seed in range(3):
        parameters, x = draw(seed)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            report = check(lambda x, p=parameters: PROGRAMS[name](**p, x=x), x, params=parameters)
            assert set(report.live) == reached(PROGRAMS[name](**parameters, x=x), parameters)
        assert {finding.parameter for finding in report.findings if finding.severity == "error"} == set(report.blocked)
        assert set(report.live) | set(report.blocked) == set(parameters)
        assert report.order <= report.order.ANALYTIC


def reached(result: Tensor | float, parameters: Parameters) -> set[str]:
    """Names of the parameters whose gradient is there and not all zero."""
    if not isinstance(result, Tensor) or not result.requires_grad:
        return set()
    gradients = torch.autograd.grad(result, list(parameters.values()), allow_unused=True)
    return {name for name, g in zip(parameters, gradients, strict=True) if g is not None and bool(g.count_nonzero())}


def test_there_are_enough_programs() -> None:
    assert len(PROGRAMS) >= 60
