"""Base training and distillation: the losses in closed form, the budget, determinism, resume, the teacher untouched."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from torchstone.data import affine_jitter
from torchstone.fewshot import BaseClassifier, Recipe, Trained, distil, distillation_loss, train_embedding
from torchstone.nets import Conv4, ResNet12

SMALL = Recipe(rate=0.03, batch_size=8)


def data() -> tuple[Tensor, Tensor]:
    """Bright on the left, bright on the right, bright above."""
    x = 0.4 * torch.rand(48, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    x[::3, :, :, :8] += 0.5
    x[1::3, :, :, 8:] += 0.5
    x[2::3, :, :8] += 0.5
    return x, torch.tensor([10, 20, 40])[torch.arange(48) % 3]


def encoder(seed: int = 0) -> nn.Module:
    return Conv4(4, channels=1, seed=seed)


def trained(**changes: Any) -> Trained[BaseClassifier]:
    return train_embedding(encoder(), *data(), **{"budget": 240, "seed": 0, "recipe": SMALL, **changes})


def equal(a: nn.Module, b: nn.Module) -> bool:
    states = a.state_dict(), b.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


def test_it_learns_the_base_classes_within_the_budget() -> None:
    result = trained(budget=405)
    assert result.images_seen == 400
    assert len(result.history.metrics["player/loss"]) == 50
    assert result.history.metrics["player/accuracy"][-5:].mean() > 0.9
    assert result.model.classes == (10, 20, 40)


@pytest.mark.parametrize("schedule", ["step", "cosine", "one-cycle"])
def test_the_learning_rate_falls_as_the_schedule_says(schedule: Any) -> None:
    weight = nn.Linear(1, 1, bias=False, device="meta").to_empty(device="cpu")
    optimizer = torch.optim.SGD(weight.parameters(), 0.5)
    scheduler = Recipe(rate=0.5, schedule=schedule).scheduler(optimizer, 100)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    if schedule == "step":
        assert rates == pytest.approx([0.5] * 60 + [0.05] * 20 + [0.005] * 20)
    elif schedule == "cosine":
        assert rates[0] == 0.5
        assert rates[50] == pytest.approx((0.5 + 0.0005) / 2)
    else:
        assert max(rates) == pytest.approx(0.5, rel=1e-3)
        assert rates.index(max(rates)) == pytest.approx(30, abs=1)
    assert rates[-1] < 0.01


@pytest.mark.parametrize("schedule", ["step", "cosine", "one-cycle"])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_trainings_work(schedule: Any, steps: int) -> None:
    result = trained(budget=8 * steps, recipe=Recipe(batch_size=8, schedule=schedule))
    assert all(value.isfinite().all() for value in result.model.state_dict().values())


def test_the_seed_decides_everything() -> None:
    options = {"augment": affine_jitter(), "budget": 40}
    assert equal(trained(**options).model, trained(**options).model)
    assert not equal(trained(**options).model, trained(**options, seed=1).model)


def test_dropout_and_drop_block_follow_the_seed() -> None:
    x, y = data()

    def weights(seed: int) -> Tensor:
        net = ResNet12(channels=1, widths=(4, 4, 4, 4), ramp=2, seed=0)
        train_embedding(net, x, y, budget=32, seed=seed, recipe=SMALL)
        return nn.utils.parameters_to_vector(net.parameters())

    assert torch.equal(weights(0), weights(0))


@pytest.mark.parametrize("images", [torch.float16, torch.float64])
@pytest.mark.parametrize("weights", [torch.float32, torch.float64])
def test_images_come_in_the_dtype_of_the_weights(images: torch.dtype, weights: torch.dtype) -> None:
    (x, y), net = data(), encoder().to(weights)
    teacher = train_embedding(net, x.to(images), y, budget=16, seed=0, recipe=SMALL).model
    student = distil(teacher, encoder, x.to(images), y, budget=16, seed=0, generations=1, recipe=SMALL)[0].model
    assert {parameter.dtype for parameter in [*teacher.parameters(), *student.parameters()]} == {weights}


def test_one_class_is_nothing_to_tell_apart() -> None:
    x, y = data()
    with pytest.raises(ValueError, match="`labels` has 1 class only"):
        train_embedding(encoder(), x, torch.zeros_like(y), budget=16, seed=0, recipe=SMALL)


def test_names_are_those_of_the_labels() -> None:
    names = [f"class {number}" for number in range(41)]
    assert trained(budget=8, names=names).model.classes == ("class 10", "class 20", "class 40")
    with pytest.raises(ValueError, match="`names` has 40 names, so labels must lie between 0 and 39"):
        trained(names=names[:40])


def test_a_stopped_training_goes_on_bit_for_bit(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(done: float, note: str) -> None:
        if done >= 0.5:
            raise Stop

    with pytest.raises(Stop):
        trained(checkpoint=tmp_path / "a", progress=stop)
    assert equal(trained(checkpoint=tmp_path / "a").model, trained().model)


def test_distilling_a_network_into_itself_costs_nothing() -> None:
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)).double()
    assert distillation_loss(logits, logits).item() == pytest.approx(0, abs=1e-14)
    other = logits.flip(0)
    assert distillation_loss(logits, other) > 0
    torch.testing.assert_close(distillation_loss(logits + 3, other - 1), distillation_loss(logits, other))


def test_distillation_is_the_formula() -> None:
    s, t = (torch.randn(5, 7, generator=torch.Generator().manual_seed(seed)).double() for seed in (0, 1))
    p, q = (t / 4).softmax(1), (s / 4).softmax(1)
    torch.testing.assert_close(distillation_loss(s, t), 16 * (p * (p / q).log()).sum(1).mean())


def test_a_hot_teacher_asks_for_its_logits() -> None:
    s, t = (torch.randn(5, 7, generator=torch.Generator().manual_seed(seed)).double() for seed in (0, 1))
    s, t = (z - z.mean(1, keepdim=True) for z in (s, t))
    s.requires_grad_()
    t.requires_grad_()
    distillation_loss(s, t, temperature=1e4).backward()
    torch.testing.assert_close(s.grad, (s - t).detach() / (5 * 7), rtol=1e-3, atol=1e-6)
    assert t.grad is None


def test_generations_learn_one_from_another() -> None:
    x, y = data()
    teacher = trained(budget=400).model.train()
    teacher.zero_grad(set_to_none=True)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    seen: list[tuple[float, str]] = []
    students = distil(
        teacher, encoder, x, y, budget=400, seed=5, recipe=SMALL, progress=lambda done, note: seen.append((done, note))
    )
    assert [student.images_seen for student in students] == [400, 400]
    assert all(student.model.classes == (10, 20, 40) for student in students)
    assert all(student.history.metrics["player/accuracy"][-5:].mean() > 0.9 for student in students)
    unchanged = [torch.equal(before[name], value) for name, value in teacher.state_dict().items()]
    assert all(unchanged)  # its running averages too
    assert teacher.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert seen[-1] == (1.0, "generation 2, step 50/50")
    assert not equal(students[0].model, students[1].model)


def test_without_the_teachers_voice_a_student_is_a_base_training() -> None:
    x, y = data()
    teacher = trained(budget=8).model
    student = distil(teacher, encoder, x, y, budget=80, seed=6, generations=1, hard=1.0, soft=0.0, recipe=SMALL)[0]
    plain = train_embedding(encoder(7), x, y, budget=80, seed=7, recipe=SMALL)
    assert equal(student.model, plain.model)


def test_the_first_loss_weighs_label_and_teacher() -> None:
    x, y = data()
    teacher = trained(budget=80).model
    student = distil(
        teacher, encoder, x, y, budget=48, seed=6, generations=1, hard=0.3, soft=0.9, recipe=Recipe(batch_size=48)
    )[0]
    fresh = BaseClassifier(encoder(7), 4, classes=range(3), seed=7)
    targets = torch.arange(48) % 3
    with torch.no_grad():
        expected = 0.3 * cross_entropy(fresh(x), targets) + 0.9 * distillation_loss(fresh(x), teacher.eval()(x))
    assert student.history.metrics["player/loss"][0].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 7}, "`budget` is 7 images, but one step takes 8"),
        ({"generations": 0}, "`generations` must be at least 1"),
        ({"hard": -1.0}, "`hard` and `soft` 0 or more"),
        ({"hard": 0.0, "soft": 0.0}, "not both 0"),
        ({"temperature": 0.0}, "`temperature` must be positive"),
        ({"labels": torch.arange(48) % 2}, "`labels` has 2 classes, but `teacher` was trained on 3"),
        ({"labels": torch.arange(3)}, "one label an image"),
    ],
)
def test_what_distillation_refuses(change: dict[str, Any], message: str) -> None:
    x, y = data()
    options = {"images": x, "labels": y, "budget": 16, "seed": 0, "recipe": SMALL, **change}
    with pytest.raises(ValueError, match=message):
        distil(trained(budget=8).model, encoder, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 0.0}, "`rate` must be positive"),
        ({"rate": float("nan")}, "`rate` must be positive"),
        ({"momentum": 1.0}, "`momentum` lie in"),
        ({"weight_decay": -1.0}, "`weight_decay` be 0 or more"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"schedule": "steep"}, "`schedule` must be one of"),
    ],
)
def test_a_senseless_recipe_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Recipe(**change)
