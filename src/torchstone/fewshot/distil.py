"""Born-again networks: each generation learns from the labels and from the generation before."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, kl_div

from torchstone.data import Augment
from torchstone.fewshot.classifier import BaseClassifier, Trained
from torchstone.fewshot.inputs import check_labels
from torchstone.fewshot.recipe import Recipe
from torchstone.fewshot.rfs import PAPER, Progress, train_classifier
from torchstone.training import evaluating


def distillation_loss(
    student: Float[Tensor, "b c"], teacher: Float[Tensor, "b c"], *, temperature: float = 4.0
) -> Float[Tensor, ""]:
    r"""How far a student's softened probabilities are from its teacher's.

    .. math:: T^2 \; \frac1b \sum_i \mathrm{KL}\big(\mathrm{softmax}(t_i / T) \,\|\, \mathrm{softmax}(s_i / T)\big)

    The factor keeps the gradient's size: for large T the loss tends to half the mean squared difference of the centred
    logits.

    Args:
        student: logits :math:`s_i`, (b, c).
        teacher: logits :math:`t_i`, (b, c); gradients don't reach them.
        temperature: :math:`T`, above 0.

    Returns:
        A 0-d tensor, 0 for logits that are equal up to an offset.

    Raises:
        ValueError: the shapes differ, or ``temperature`` is not positive.

    >>> logits = torch.tensor([[1.0, 2.0, 3.0]])
    >>> distillation_loss(logits, logits + 5)
    tensor(0.)

    Paper: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2; Tian, Wang, Krishnan, Tenenbaum, Isola 2020,
        arXiv:2003.11539, section 3.3.
    Differs from the paper: nothing.
    """
    if student.shape != teacher.shape or student.ndim != 2:
        raise ValueError(
            f"`student` and `teacher` must both be (b, c), but are {tuple(student.shape)} and {tuple(teacher.shape)}."
        )
    if not 0 < temperature < float("inf"):
        raise ValueError(f"`temperature` must be positive and finite, but is {temperature}.")
    soft, target = ((logits / temperature).log_softmax(1) for logits in (student, teacher.detach()))
    return temperature**2 * kl_div(soft, target, reduction="batchmean", log_target=True)


def distil(
    teacher: BaseClassifier,
    build: Callable[[int], nn.Module],
    images: Shaped[Tensor, "n ..."],
    labels: Int[Tensor, " n"],
    *,
    budget: int,
    seed: int,
    generations: int = 2,
    hard: float = 0.5,
    soft: float = 0.5,
    temperature: float = 4.0,
    recipe: Recipe = PAPER,
    augment: Augment | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Trained[BaseClassifier]]:
    r"""Train students one after another, each from fresh weights, with the one before as its teacher.

    .. math:: \min \mathbb{E}\; \alpha\, \mathrm{CE}(s, y) + \beta\, T^2\, \mathrm{KL}(t / T \,\|\, s / T)

    The teacher is in evaluation mode, gets no gradients and is not changed; teacher and student see the same augmented
    images. Choose the generation on validation classes, never on the test.

    Args:
        teacher: generation 0, from :func:`train_embedding` on the same classes.
        build: makes a fresh encoder from a seed, such as ``lambda seed: ResNet12(seed=seed)``.
        images: (n, c, h, w), the teacher's base classes.
        labels: (n,).
        budget: images shown to each generation.
        seed: generation g starts from ``seed + g``.
        generations: how many students.
        hard: :math:`\alpha`, weight of the labels, 0 or more.
        soft: :math:`\beta`, weight of the teacher, 0 or more.
        temperature: :math:`T`.
        recipe: optimizer, batch size, schedule.
        augment: a random change of each batch.
        checkpoint: a folder to go on from after a kill, with one subfolder a generation.
        progress: called with the fraction done and a note.

    Returns:
        What each generation became, generation 1 first.

    Raises:
        ValueError, TypeError: a number is out of range, the teacher has another number of classes, or as in
            :func:`train_embedding`.

    Paper: Tian, Wang, Krishnan, Tenenbaum, Isola 2020, arXiv:2003.11539, section 3.3; Furlanello, Lipton, Tschannen,
        Itti, Anandkumar 2018, arXiv:1805.04770.
    Differs from the paper: nothing.
    """
    if generations < 1 or min(hard, soft) < 0 or not 0 < hard + soft < float("inf"):
        raise ValueError(
            "`generations` must be at least 1, `hard` and `soft` 0 or more and not both 0, but they are "
            f"{generations}, {hard} and {soft}."
        )
    check_labels(labels)
    classes = len(torch.unique(labels))
    if classes != len(teacher.classes):
        raise ValueError(
            f"`labels` has {classes} classes, but `teacher` was trained on {len(teacher.classes)}. Give the images "
            "that it was trained on."
        )

    def loss(master: BaseClassifier, x: Tensor, logits: Tensor, y: Tensor) -> Tensor:
        with evaluating(master), torch.no_grad():
            target = master(x)
        return hard * cross_entropy(logits, y) + soft * distillation_loss(logits, target, temperature=temperature)

    def generation(number: int, master: BaseClassifier) -> Trained[BaseClassifier]:
        def report(done: float, note: str) -> None:
            if progress is not None:
                progress((number - 1 + done) / generations, f"generation {number}, {note}")

        own = None if checkpoint is None else Path(checkpoint) / f"generation-{number}"
        encoder = build(seed + number).to(master.head.weight)
        student = train_classifier(
            encoder, images, labels, partial(loss, master), budget, seed + number, recipe, augment, None, own, report
        )
        student.model.classes = teacher.classes
        return student

    students: list[Trained[BaseClassifier]] = []
    for number in range(1, generations + 1):
        students.append(generation(number, students[-1].model if students else teacher))
    return students
