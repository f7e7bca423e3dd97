"""ProtoNet and MAML: gradients in closed form on quadratic tasks, equal budgets, no query sees another, determinism."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from torchstone.data import affine_jitter
from torchstone.fewshot import MAML, Episodes, ProtoNet, adapt, embed, evaluate_episodes
from torchstone.fewshot.support_norm import normalised_by_support
from torchstone.fewshot.tasks import TaskBatches
from torchstone.nets import Conv4, seeded


def data(n: int = 60) -> tuple[Tensor, Tensor]:
    """Five classes: a bright row, each in its place."""
    x = 0.4 * torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 5
    for row in range(5):
        x[y == row, :, 3 * row : 3 * row + 3] += 0.5
    return x, y


def quadratics() -> tuple[Tensor, ...]:
    """Support: ½ (θ-a)ᵀA(θ-a); query: ½ (θ-b)ᵀB(θ-b)."""
    draw = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    big_a, big_b = draw @ draw.mT
    a, b, theta = torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double()
    return big_a, a, big_b, b, theta.requires_grad_()


def bowl(matrix: Tensor, centre: Tensor, params: dict[str, Tensor]) -> Tensor:
    return (params["theta"] - centre) @ matrix @ (params["theta"] - centre) / 2


@pytest.mark.parametrize("first_order", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_mamls_gradient_on_quadratic_tasks(steps: int, first_order: bool) -> None:
    big_a, a, big_b, b, theta = quadratics()
    rate = 0.1
    end = adapt(lambda p: bowl(big_a, a, p), {"theta": theta}, rate=rate, steps=steps, first_order=first_order)
    shrink = torch.linalg.matrix_power(torch.eye(3).double() - rate * big_a, steps)
    expected_end = a + shrink @ (theta.detach() - a)
    torch.testing.assert_close(end["theta"], expected_end)
    gradient = torch.autograd.grad(bowl(big_b, b, end), theta)[0]
    outer = big_b @ (expected_end - b)
    torch.testing.assert_close(gradient, outer if first_order else shrink @ outer)


def test_mamls_gradient_against_finite_differences() -> None:
    def after(theta: Tensor) -> Tensor:
        end = adapt(lambda p: (p["theta"] ** 4).sum() + p["theta"].prod(), {"theta": theta}, rate=0.05, steps=2)
        return end["theta"].sin().sum()

    assert torch.autograd.gradcheck(after, quadratics()[-1])


def test_what_a_task_does_not_use_stays() -> None:
    start = {"a": torch.tensor(1.0, requires_grad=True), "b": torch.tensor(2.0, requires_grad=True)}
    assert adapt(lambda p: p["a"] ** 2, start, rate=0.5)["b"].item() == 2.0


@pytest.mark.parametrize(("rate", "steps"), [(-0.1, 1), (float("nan"), 1), (0.1, -1)])
def test_a_senseless_inner_loop_is_refused(rate: float, steps: int) -> None:
    with pytest.raises(ValueError, match="`rate` and `steps` must be 0 or more"):
        adapt(lambda p: p["a"], {"a": torch.tensor(1.0, requires_grad=True)}, rate=rate, steps=steps)


def tasks(count: int = 2) -> Any:
    return TaskBatches(*data(), budget=24 * count, ways=4, shots=2, queries=4, tasks=count, seed=0).at(0)


def plain_encoder() -> nn.Module:
    with seeded(0):
        return nn.Sequential(nn.Flatten(), nn.Linear(256, 6), nn.Tanh())


@pytest.mark.parametrize("first_order", [False, True])
def test_without_inner_steps_maml_is_multi_task_learning(first_order: bool) -> None:
    batch = tasks()
    nets = [
        MAML(plain_encoder(), 6, ways=4, inner_rate=rate, inner_steps=steps, first_order=first_order, seed=0)
        for rate, steps in ((0.0, 5), (0.1, 0))
    ]
    answers = batch.query_labels.repeat(2)
    plain = cross_entropy(nets[0].learner(batch.query.flatten(0, 1)), answers)
    expected = torch.autograd.grad(plain, list(nets[0].parameters()))
    for net in nets:
        loss = cross_entropy(net(batch).flatten(0, 1), answers)
        torch.testing.assert_close(loss, plain)
        torch.testing.assert_close(torch.autograd.grad(loss, list(net.parameters())), expected)


def test_first_order_has_the_loss_but_not_the_gradient_of_second_order() -> None:
    batch = tasks()
    losses, gradients = [], []
    for first_order in (False, True):
        net = MAML(plain_encoder(), 6, ways=4, inner_rate=0.5, inner_steps=2, first_order=first_order, seed=0)
        loss = cross_entropy(net(batch).flatten(0, 1), batch.query_labels.repeat(2))
        losses.append(loss.detach())
        gradients.append(torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))]))
    torch.testing.assert_close(*losses)
    assert (gradients[0] - gradients[1]).norm() > 0.01 * gradients[0].norm()


@pytest.mark.parametrize("training", [True, False])
def test_the_supports_statistics_normalise_everything(training: bool) -> None:
    x = torch.randn(9, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    norm = nn.BatchNorm2d(3)
    nn.init.constant_(norm.weight, 1.5)
    nn.init.constant_(norm.bias, 0.5)
    expected = nn.BatchNorm2d(3)
    expected.load_state_dict(norm.state_dict())
    norm.train(training)
    with normalised_by_support(norm, 5):
        y, alone = norm(x), norm(torch.cat([x[:5], x[8:]]))
    torch.testing.assert_close(y[:5], expected(x[:5]))
    torch.testing.assert_close(alone[-1], y[-1])  # a query sees no other query
    assert norm.num_batches_tracked == 0
    assert "forward" not in vars(norm)


def test_a_norm_without_weights() -> None:
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    norm = nn.BatchNorm1d(3, affine=False)
    with normalised_by_support(norm, 6):
        y = norm(x)
    torch.testing.assert_close(y, norm(x))


def test_mamls_queries_do_not_help_one_another() -> None:
    net = MAML(Conv4(4, channels=1, seed=0), 4, ways=4, seed=0).eval()
    batch = tasks(1)
    support, query = batch.support[0], batch.query[0]
    together = net.query_logits(support, batch.support_labels, query)
    alone = net.query_logits(support, batch.support_labels, query[:1])
    torch.testing.assert_close(alone, together[:1])


def test_maml_learns_new_tasks() -> None:
    x, y = data()
    net = MAML(plain_encoder(), 6, ways=4, inner_rate=0.1, inner_steps=3, seed=0)
    episodes = Episodes(y, 4, 1, 5, count=10, seed=9)
    before = net.evaluate(x, episodes).mean
    result = net.fit(x, y, budget=3000, shots=1, queries=4, tasks=3, seed=0, rate=0.01)
    assert result.images_seen == 3000
    assert net.evaluate(x, episodes).mean > max(0.9, before)


def test_mamls_evaluation_changes_nothing_and_needs_its_ways() -> None:
    x, y = data()
    net = MAML(Conv4(4, channels=1, seed=0), 4, ways=4, seed=0)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    first, again = (net.evaluate(x, Episodes(y, 4, 1, 3, count=3, seed=0)).accuracies for _ in range(2))
    assert torch.equal(first, again)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert net.training
    with pytest.raises(ValueError, match="for 4 ways and 60 images were given, but the episodes have 3 ways"):
        net.evaluate(x, Episodes(y, 3, 1, 3, count=3, seed=0))


@pytest.mark.parametrize("change", [{"ways": 1}, {"inner_steps": -1}, {"inner_rate": -0.1}])
def test_a_senseless_maml_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`ways` must be at least 2, `inner_steps` and `inner_rate` 0 or more"):
        MAML(plain_encoder(), 6, **{"ways": 4, "seed": 0, **change})


def test_protonet_learns_and_evaluates_prototypes_in_evaluation_mode() -> None:
    x, y = data()
    net = ProtoNet(Conv4(4, channels=1, seed=0))
    result = net.fit(x, y, budget=1000, ways=4, shots=1, queries=4, seed=0, rate=0.01)
    assert result.images_seen == 1000
    assert result.history.metrics["player/accuracy"][-10:].mean() > 0.9
    episodes = Episodes(y, 4, 1, 5, count=10, seed=9)
    expected = evaluate_episodes(embed(net.encoder, x), episodes, head="prototypes")
    assert torch.equal(net.evaluate(x, episodes).accuracies, expected.accuracies)


def test_trainings_are_a_function_of_the_seed() -> None:
    x, y = data()

    def state(seed: int, kind: str) -> Tensor:
        encoder = Conv4(4, channels=1, seed=0)
        net = ProtoNet(encoder) if kind == "protonet" else MAML(encoder, 4, ways=3, inner_steps=1, seed=0)
        options: dict[str, Any] = {"ways": 3} if kind == "protonet" else {"tasks": 2}
        net.fit(x, y, budget=40, shots=1, queries=2, seed=seed, augment=affine_jitter(), **options)
        return nn.utils.parameters_to_vector(net.parameters())

    for kind in ("protonet", "maml"):
        assert torch.equal(state(0, kind), state(0, kind))
        assert not torch.equal(state(0, kind), state(1, kind))


@pytest.mark.parametrize("images", [torch.float16, torch.float64, torch.uint8])
@pytest.mark.parametrize("weights", [torch.float32, torch.float64])
def test_images_come_in_the_dtype_of_the_weights(images: torch.dtype, weights: torch.dtype) -> None:
    x, y = data()
    x, episodes = (200 * x).to(images), Episodes(y, 3, 1, 2, count=2, seed=0)
    protonet = ProtoNet(Conv4(4, channels=1, seed=0).to(weights))
    maml = MAML(Conv4(4, channels=1, seed=0).to(weights), 4, ways=3, inner_steps=1, seed=0)
    protonet.fit(x, y, budget=9, ways=3, shots=1, queries=2, seed=0)
    maml.fit(x, y, budget=9, shots=1, queries=2, tasks=1, seed=0)
    assert all(0 <= net.evaluate(x, episodes).mean <= 1 for net in (protonet, maml))


def test_task_batches_are_the_episodes_images() -> None:
    x, y = data()
    batches = TaskBatches(x, y, budget=100, ways=3, shots=2, queries=1, tasks=2, seed=4)
    assert (batches.steps, batches.images_seen) == (5, 90)
    batch = batches.at(3)
    for task in (0, 1):
        episode = batches.episodes.at(6 + task)
        assert torch.equal(batch.support[task], x[episode.support])
        assert torch.equal(batch.query[task], x[episode.query])


def test_budgets_and_tasks_that_cannot_be() -> None:
    x, y = data()
    with pytest.raises(ValueError, match="`budget` is 10 images, but one step takes 15"):
        ProtoNet(plain_encoder()).fit(x, y, budget=10, ways=3, shots=1, queries=4, seed=0)
    with pytest.raises(ValueError, match="`tasks`, the episodes in a step, must be at least 1"):
        MAML(plain_encoder(), 6, ways=3, seed=0).fit(x, y, budget=10, shots=1, queries=4, tasks=0, seed=0)
    with pytest.raises(ValueError, match="`ways` is 9, but `labels` has only 5 classes"):
        ProtoNet(plain_encoder()).fit(x, y, budget=100, ways=9, shots=1, queries=4, seed=0)
