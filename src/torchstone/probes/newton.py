"""Newton's method for many multinomial logistic regressions at once, by preconditioned conjugate gradients.

The Hessian couples all classes, (c r) by (c r). At equal probabilities it is the same (r, r) matrix for each class;
that matrix, scaled to the probabilities of the moment, is the preconditioner: a few products make a Newton step.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

FORCING = 1e-3  # conjugate gradients stop where the residual is this fraction of the gradient
INNER_STEPS = 200
HALVINGS = 40
NEVER = -1e30  # the logit of a class that a problem lacks: probability exactly 0, without infinities


@dataclass(frozen=True)
class Point:
    """Where the search is: θ, what it makes of each example, and the objective of each problem there."""

    theta: Float[Tensor, "e c r"]
    logits: Float[Tensor, "e c n"]
    log_p: Float[Tensor, "e c n"]
    loss: Float[Tensor, "e 1 1"]


@dataclass(frozen=True)
class Task:
    """e problems: minimise ½ Σ ridge θ² + Σ_i w_i CE(softmax(θ design_i + offset), target_i) over θ, (e, c, r).

    Args:
        design: (e, n, r) float64.
        target: (e, c, n), w_i for the class of an example, and 0 for others.
        weight: w, (e, 1, n), at least 0.
        ridge: (r,), 0 for what is not penalised.
        offset: (e, c, 1), 0, or ``NEVER`` for a class that a problem lacks.
    """

    design: Float[Tensor, "e n r"]
    target: Float[Tensor, "e c n"]
    weight: Float[Tensor, "e 1 n"]
    ridge: Float[Tensor, " r"]
    offset: Float[Tensor, "e c 1"]

    def at(self, theta: Float[Tensor, "e c r"], logits: Float[Tensor, "e c n"]) -> Point:
        """The point θ, where ``logits`` are θ design_i."""
        log_p = (logits + self.offset).log_softmax(1)
        return Point(theta, logits, log_p, total(self.ridge * theta.square()) / 2 - total(self.target * log_p))

    def gradient(self, theta: Float[Tensor, "e c r"], p: Float[Tensor, "e c n"]) -> Float[Tensor, "e c r"]:
        """Of the objective, where the probabilities are ``p``."""
        return torch.baddbmm(self.ridge * theta, self.weight * p - self.target, self.design)

    def curvature(self, p: Float[Tensor, "e c n"], v: Float[Tensor, "e c r"]) -> Float[Tensor, "e c r"]:
        """The Hessian at probabilities ``p`` times ``v``."""
        change = v @ self.design.mT
        mean = (p * change).sum(1, keepdim=True)
        return torch.baddbmm(self.ridge * v, self.weight * p * (change - mean), self.design)


@dataclass(frozen=True)
class Minimum:
    """Where the method stopped: θ, steps taken and the norm of the gradient there, for each problem."""

    theta: Float[Tensor, "e c r"]
    iterations: Int64[Tensor, " e"]
    gradient_norm: Float[Tensor, " e"]


def minimise(task: Task, tol: float, max_iter: int) -> Minimum:
    """Newton steps with backtracking until every problem's gradient has a norm of at most ``tol``."""
    e, c, n = task.target.shape
    zeros = task.design.new_zeros
    point = task.at(zeros(e, c, task.design.shape[-1]), zeros(e, c, n))
    iterations = torch.zeros(e, dtype=torch.int64, device=task.design.device)
    gram = (task.design.mT * task.weight) @ task.design  # (e, r, r)
    used, inverse = gram.new_zeros(e, 1, 1), gram  # until the first step
    for step in range(max_iter + 1):
        p = point.log_p.exp()
        gradient = task.gradient(point.theta, p)
        norm = gradient.flatten(1).norm(dim=1)
        unsolved = ~(norm <= tol)
        if step == max_iter or not unsolved.any():
            break
        iterations += unsolved
        scale = mean_curvature(task, p)
        changed = (scale > 2 * used) | (scale < used / 2)
        if changed.any():
            used = torch.where(changed, scale, used)
            inverse = preconditioner(task.ridge, used, gram)
        direction = newton_direction(task, p, gradient * unsolved[:, None, None], inverse)
        point = step_along(task, point, direction, total(gradient * direction))
    return Minimum(point.theta, iterations, norm)


def newton_direction(
    task: Task, p: Float[Tensor, "e c n"], gradient: Float[Tensor, "e c r"], inverse: Float[Tensor, "e r r"]
) -> Float[Tensor, "e c r"]:
    """The Newton step, to a relative residual of ``FORCING`` in the preconditioner's norm; 0 where the gradient is."""
    direction, residual = torch.zeros_like(gradient), -gradient
    search = residual @ inverse
    size = total(residual * search)
    enough = FORCING**2 * size
    for _ in range(INNER_STEPS):
        running = size > enough
        if not running.any():
            break
        image = task.curvature(p, search)
        length = torch.where(running, size / total(search * image), 0)
        direction = direction + length * search
        residual = residual - length * image
        solved = residual @ inverse
        previous, size = size, total(residual * solved)
        search = solved + torch.where(running, size / previous, 0) * search
    return direction


def mean_curvature(task: Task, p: Float[Tensor, "e c n"]) -> Float[Tensor, "e 1 1"]:
    """The s that makes s (1 - 1/c), the classes' curvature at equal probabilities if s = 1/c, their mean p (1 - p)."""
    freedom = p.shape[1] - 1
    return (total(task.weight * (p - p.square())) / (freedom * total(task.weight))).clamp(min=1e-9)


def preconditioner(
    ridge: Float[Tensor, " r"], scale: Float[Tensor, "e 1 1"], gram: Float[Tensor, "e r r"]
) -> Float[Tensor, "e r r"]:
    """The inverse of ridge + scale · gram, one class's block of the Hessian, about; kept regular against rounding."""
    matrix = torch.diag(ridge) + scale * gram
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    diagonal += len(ridge) * torch.finfo(matrix.dtype).eps * diagonal.sum(-1, keepdim=True)
    return torch.cholesky_inverse(torch.linalg.cholesky(matrix))


def step_along(task: Task, start: Point, direction: Float[Tensor, "e c r"], slope: Float[Tensor, "e 1 1"]) -> Point:
    """A step of 1, halved in each problem until its objective falls by Armijo's rule, up to rounding."""
    change = direction @ task.design.mT
    step = torch.ones_like(slope)
    for _ in range(HALVINGS):
        reached = task.at(start.theta + step * direction, start.logits + step * change)
        enough = reached.loss <= start.loss + 1e-4 * step * slope + 1e-13 * start.loss.abs()
        if enough.all():
            break
        step = torch.where(enough, step, step / 2)
    return reached


def total(x: Float[Tensor, "e a b"]) -> Float[Tensor, "e 1 1"]:
    """The sum of each problem's entries."""
    return x.sum((1, 2), keepdim=True)
