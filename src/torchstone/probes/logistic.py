"""Multinomial logistic regression, for one problem or for all episodes at once, at scikit-learn's optimum."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, Int64, Real
from torch import Tensor
from torch.nn.functional import one_hot

from torchstone.probes.inputs import (
    check_all_classes,
    check_devices,
    check_features,
    check_finite,
    check_labels,
    check_like,
    delivered,
    examples_by_class,
    warn,
)
from torchstone.probes.newton import NEVER, Minimum, Task, minimise


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """Fitted logistic regressions; the leading axis e is missing if one unbatched problem was given.

    Args:
        weight: (e, c, d).
        bias: (e, c), summing to 0 over the classes; -inf for a class that the problem lacks.
        iterations: (e,), Newton steps taken.
        gradient_norm: (e,), of the objective at the end; also about how far ``weight`` may be from the optimum.
        converged: (e,), whether that is at most ``tol``.
    """

    weight: Float[Tensor, "*e c d"]
    bias: Float[Tensor, "*e c"]
    iterations: Int64[Tensor, "*e"]
    gradient_norm: Float[Tensor, "*e"]
    converged: Tensor

    def logits(self, x: Real[Tensor, "*e n d"]) -> Float[Tensor, "*e n c"]:
        """W x + b for rows ``x``: (e, n, d) for as many problems, or (n, d), the same rows for every problem."""
        return x.to(self.weight.dtype) @ self.weight.mT + self.bias.unsqueeze(-2)

    def predict(self, x: Real[Tensor, "*e n d"]) -> Int64[Tensor, "*e n"]:
        """The class of the largest logit, the lowest one of equals.

        Raises:
            ValueError: ``x`` is not finite, or has not the features of ``weight``.
        """
        check_features(x, "x")
        check_finite(x, "x")
        check_like(x, "x", self.weight.shape, "the weights")
        return self.logits(x).argmax(-1)


@torch.no_grad()
def logistic_regression(
    x: Real[Tensor, "*e n d"],
    y: Int[Tensor, "*e n"],
    *,
    c: float = 1.0,
    weight: Real[Tensor, "*e n"] | None = None,
    classes: int | None = None,
    tol: float = 1e-6,
    max_iter: int = 100,
) -> LogisticFit:
    r"""Multinomial logistic regression with an L2 penalty, all problems solved together.

    .. math:: \min_{W, b}\; \tfrac12 \|W\|_F^2 + C \sum_i w_i\, \mathrm{CE}(W x_i + b,\; y_i)

    The optimum is scikit-learn's for ``LogisticRegression(C=c)``, and is reached by Newton's method in float64. Where
    there are fewer examples than features (a few shots on a wide embedding) it works in the n-dimensional span of the
    centred examples, which contains W. Not differentiable: gradients don't flow through the fit.

    A Newton step factors a matrix of r by r for each problem, r = min(n, d) + 1: about 32 r² bytes, and r³
    operations. That is nothing for episodes, 0.5 GB and seconds for r = 4,000, and 13 GB and minutes for r = 20,000:
    there reduce the features first (by their principal components), or fit to fewer examples.

    Args:
        x: :math:`x_i`, (n, d), or (e, n, d) for e problems. Standardise or normalise it first if that is wanted.
        y: :math:`y_i`, (n,) or (e, n), integers from 0 to the number of classes - 1.
        c: :math:`C`, the inverse strength of the penalty. It multiplies a sum: five copies of each example act as 5 C.
        weight: :math:`w_i`, (n,) or (e, n), at least 0; 1 if absent. Problems of different n are padded to one shape,
            with any finite features and weight 0.
        classes: the number of classes. If given, a problem may lack some of them, as with episodes of different ways:
            W of such a class is 0 and its bias -inf, the limit of the optimum. If absent, it is the largest label + 1,
            and every problem must have examples of every class.
        tol: the largest norm of the objective's gradient, per problem, at which it counts as solved. The penalty makes
            the objective strongly convex, so that W is then about that close to the optimum.
        max_iter: Newton steps at most.

    Returns:
        A :class:`LogisticFit` in float32, or float64 for float64 features. A :class:`ProbeWarning` says how many
        problems ran out of steps.

    Raises:
        ValueError: shapes don't fit; features are not finite; labels are out of range; a class has no example, or a
            problem has examples of one class only; ``c``, ``weight``, ``tol`` or ``max_iter`` is out of range.
        TypeError: ``x`` is boolean or complex; ``y`` is not of integers.

    >>> x = torch.tensor([[[-2.0], [-1.0], [1.0], [2.0]], [[5.0], [6.0], [3.0], [2.0]]])
    >>> fit = logistic_regression(x, torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1]]))
    >>> fit.weight.shape, fit.predict(torch.tensor([[-3.0], [9.0]]))
    (torch.Size([2, 2, 1]), tensor([[0, 1],
            [1, 0]]))

    Paper: Tian, Wang, Krishnan, Tenenbaum, Isola 2020, arXiv:2003.11539, section 3.2, uses it on frozen embeddings.
    Differs from the paper: nothing in the optimum; episodes are solved together. From scikit-learn: two classes are two
        rows of W here, as more are, where scikit-learn has one, with ``C=2 * c`` for the same classifier.
    """
    check_features(x, "x")
    ways = check_labels(y, x.shape[:-1], classes)
    check_devices(("x", x), ("y", y), ("weight", weight))
    check_settings(c, tol, max_iter)
    single = x.ndim == 2
    x, y = (x[None], y[None].long()) if single else (x, y.long())
    weight = check_weight(weight, y, single=single)
    counts = examples_by_class(y, ways, weight)
    check_ways(counts, may_lack=classes is not None)
    size = at_once(x, x.shape[1] * (min(x.shape[1:]) + ways))
    parts = [slice(start, start + size) for start in range(0, len(x), size)]
    pieces = [solve(x[part], y[part], weight[part], counts[part], c, tol, max_iter) for part in parts]
    fit = collect(pieces, tol)
    warn_unless_converged(fit, tol, max_iter)
    return LogisticFit(*(value[0] for value in vars(fit).values())) if single else fit


def solve(
    x: Tensor, y: Tensor, weight: Tensor, counts: Tensor, c: float, tol: float, max_iter: int
) -> tuple[Tensor, Tensor, Minimum]:
    """Weights (e, c, d) and biases (e, c) of some problems, as delivered, and how the search for them ended."""
    short, basis = coordinates(x)
    absent, weight = counts <= 0, c * weight
    task = Task(
        design=torch.cat([short, torch.ones_like(short[..., :1])], -1),
        target=(weight[..., None] * one_hot(y, counts.shape[1])).mT.contiguous(),
        weight=weight[:, None],
        ridge=torch.tensor([1.0] * short.shape[-1] + [0.0], dtype=torch.float64, device=x.device),
        offset=torch.where(absent, NEVER, 0.0)[..., None].double(),
    )
    minimum = minimise(task, tol, max_iter)
    slopes, bias = minimum.theta[..., :-1], minimum.theta[..., -1]
    if basis is not None:
        slopes = torch.linalg.solve_triangular(basis, slopes, upper=False, left=False)
    weights, at_first = in_features(slopes, x, of_rows=basis is not None)
    return weights, (bias - at_first).masked_fill(absent, -torch.inf).to(weights.dtype), minimum


def coordinates(x: Real[Tensor, "e n d"]) -> tuple[Float[Tensor, "e n r"], Float[Tensor, "e n n"] | None]:
    """``from_first(x)``, or for n < d the same rows in an orthonormal basis of their span: L of L Lᵀ = x xᵀ.

    A row v there is v L⁻¹ ``from_first(x)`` here. A shift of the size of rounding keeps L regular where rows depend on
    each other.
    """
    n, d = x.shape[1:]
    if n >= d:
        moved = from_first(x)
        check_finite(torch.linalg.vector_norm(moved, dim=(1, 2)), "x")  # nor may squares overflow
        return moved, None
    gram = torch.cat([moved @ moved.mT for moved in map(from_first, torch.split(x, at_once(x, n * d)))])
    diagonal = gram.diagonal(dim1=1, dim2=2)
    check_finite(diagonal, "x")
    diagonal += (d * torch.finfo(gram.dtype).eps * diagonal.sum(-1, keepdim=True)).clamp(min=1e-100)
    factor = torch.linalg.cholesky(gram)
    return factor, factor


def in_features(
    slopes: Float[Tensor, "e c r"], x: Real[Tensor, "e n d"], *, of_rows: bool
) -> tuple[Float[Tensor, "e c d"], Float[Tensor, "e c"]]:
    """Weights as delivered, and their products with row 0; of weights, or of shares in the rows of ``from_first``."""
    size = at_once(x, x[0].numel())
    weights, products = [], []
    for part, near in zip(torch.split(slopes, size), torch.split(x, size), strict=True):
        exact = part @ from_first(near) if of_rows else part
        weights.append(exact.to(delivered(x.dtype)))
        products.append((exact @ near[:, 0, :, None].double())[..., 0])
    return torch.cat(weights), torch.cat(products)


def from_first(x: Real[Tensor, "e n d"]) -> Float[Tensor, "e n d"]:
    """The rows of each problem seen from its first one, in float64: a common offset costs digits."""
    return x.to(torch.float64, copy=True).sub_(x[:, :1])


def at_once(x: Tensor, numbers: int) -> int:
    """How many problems of so many numbers to take at once: a processor's cache in float64, or 1 GiB elsewhere."""
    budget = 2**21 if x.device.type == "cpu" else 2**30
    return max(1, budget // (8 * numbers))


def collect(pieces: list[tuple[Tensor, Tensor, Minimum]], tol: float) -> LogisticFit:
    """The pieces' results in one."""
    weights, biases, minima = zip(*pieces, strict=True)
    norm = torch.cat([minimum.gradient_norm for minimum in minima])
    return LogisticFit(
        weight=torch.cat(weights),
        bias=torch.cat(biases),
        iterations=torch.cat([minimum.iterations for minimum in minima]),
        gradient_norm=norm,
        converged=norm <= tol,
    )


def check_settings(c: float, tol: float, max_iter: int) -> None:
    """Refuse a penalty, a tolerance or a number of steps that means nothing."""
    if not 0 < c < float("inf"):
        raise ValueError(f"`c` is {c}: the inverse strength of the penalty must be above 0 and finite.")
    if not 0 < tol < float("inf"):
        raise ValueError(f"`tol` is {tol}: the largest norm of a gradient must be above 0 and finite.")
    if max_iter < 1:
        raise ValueError(f"`max_iter` is {max_iter}: at least 1 step is needed.")


def check_weight(weight: Tensor | None, y: Int64[Tensor, "e n"], *, single: bool) -> Float[Tensor, "e n"]:
    """The examples' weights in float64, 1 by default; refused where negative, not finite or of another shape."""
    if weight is None:
        return torch.ones_like(y, dtype=torch.float64)
    weight = weight[None] if single else weight
    if weight.shape != y.shape:
        raise ValueError(
            f"`weight` must have one number a row, as `y` has: {tuple(y.shape)}, not {tuple(weight.shape)}."
        )
    check_finite(weight, "weight")
    if (weight < 0).any():
        raise ValueError(f"`weight` must be at least 0, but the lowest is {weight.min().item()}.")
    return weight.double()


def check_ways(counts: Float[Tensor, "e c"], *, may_lack: bool) -> None:
    """Refuse problems with fewer than two classes, and, unless they may, problems that lack one."""
    few = ((counts > 0).sum(1) < 2).nonzero()
    if len(few):
        raise ValueError(
            f"Problem {int(few[0])} (of {len(counts)}) has examples of one class only: there is nothing to tell apart."
        )
    if not may_lack:
        check_all_classes(counts)


def warn_unless_converged(fit: LogisticFit, tol: float, max_iter: int) -> None:
    """Say how many problems have not converged, and by how much."""
    short = int((~fit.converged).sum())
    if short:
        warn(
            f"{short} of {len(fit.converged)} logistic regressions stopped after {max_iter} steps with gradients up to "
            f"{fit.gradient_norm.max().item():.2g}, above tol={tol:g}: raise `max_iter`, or scale `x`."
        )
