"""One way to minimise any expectation: a loss whose gradient is that of the expectation, whatever the noise."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.distributions import Distribution

from torchstone.programs.expectation.choice import chosen, refuse_bias
from torchstone.programs.expectation.estimators import Estimator, estimator_of
from torchstone.programs.expectation.gradient import Gradient, parameters_of, rows
from torchstone.programs.expectation.noise import Noise, loss_of, source_of
from torchstone.programs.expectation.sampling import Function, Shape, drawing_from
from torchstone.programs.expectation.score import Score


class Expectation:
    r"""An expectation to be minimised over the parameters of f, of the noise, or of both.

    .. math:: \min_\theta \; \mathbb{E}_{\xi \sim p_\theta}\bigl[f(\theta, \xi)\bigr]

    Calling it draws samples and gives a loss: its value estimates the expectation, and its gradient estimates the
    expectation's. So it works with every optimizer, and is an objective for :func:`torchstone.training.fit`.

    ======================  ==============================================  ================================
    ``estimator``           needs                                           bias
    ======================  ==============================================  ================================
    ``"pathwise"``          ``rsample``, f continuous in ξ                  none; refused where f jumps
    ``"antithetic"``        the same, ξ symmetric, an even number           none; refused where f jumps
    ``"score"``             ``log_prob``, a support that stays              none; refused where edges move
    ``"enumerate"``         at most 1024 outcomes                           none, and no noise
    ``"gumbel"``            bits or one-hot vectors, f between them         yes; refused where f jumps
    ``"straight_through"``  bits or one-hot vectors, f's derivative there   yes; refused where f jumps
    ======================  ==============================================  ================================

    ``"auto"`` asks :func:`torchstone.smoothness.check`: pathwise if ξ has ``rsample`` and f is known to be continuous
    with a derivative that arrives; else the sum over outcomes if they are few; else the score function with the
    leave-one-out baseline. Names stand for :class:`Pathwise`, :class:`Score`, :class:`Enumerate`, :class:`Gumbel` and
    :class:`StraightThrough`, which can be given themselves to set more: ``Score("none")``.

    Args:
        f: takes n samples at once, (n, *batch, *event), and returns a number for each, (n, *batch); further arguments
            are those of the call. Batch and event are the distribution's: what f sees at once must be one event
            (``Independent``).
        xi: a function that makes the ``torch.distributions.Distribution`` at the present parameters, from the
            arguments of the call; or a distribution that depends on no parameter; or batches of data (with ``at`` or
            iterable), of which f returns the loss.
        estimator: see above.
        samples: K, drawn for each estimate.
        seed: of ``generator``, from which all draws come, those of f (dropout) too. For a ``fit`` that resumes exactly:
            ``fit(..., generators={"xi": expectation.generator})``.
        check: refuse what would be biased (:class:`BiasedGradientError`), at the first call with gradients. It sees the
            branches that Python takes there.

    Raises:
        ValueError, TypeError: an argument is not as described.

    Example:
        >>> from torch.distributions import Normal
        >>> theta = torch.tensor(1.3, requires_grad=True)
        >>> loss = Expectation(lambda xi: (xi > 0).float(), lambda: Normal(theta, 1), samples=100)
        >>> loss().backward()                              # P(ξ > 0) has the derivative φ(θ) = 0.17
        >>> loss.estimator
        Score(baseline='leave-one-out', antithetic=False)
        >>> gradient = loss.gradient(theta, repeats=100)
        >>> print(f"{gradient.mean[0]:.2f} ± {gradient.standard_error[0]:.3f}")
        0.17 ± 0.004

    Paper: Mohamed, Rosca, Figurnov, Mnih 2019, arXiv:1906.10652, sections 3 to 5; a loss with the right gradient is
        that of Schulman, Heess, Weber, Abbeel 2015, arXiv:1506.05254.
    Differs from the paper: what an estimator assumes is checked before it is used.
    """

    def __init__(
        self,
        f: Callable[..., Tensor],
        xi: Noise,
        estimator: str | Estimator = "auto",
        samples: int = 8,
        *,
        seed: int = 0,
        check: bool = True,
    ) -> None:
        if not callable(f):
            raise TypeError(f"f must be a function of samples, but it is of type {type(f).__name__}.")
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
            raise ValueError(f"samples must be a whole number from 1 on, but it is {samples!r}.")
        self.f, self.samples, self.unchecked = f, samples, check
        self.estimator = estimator_of(estimator)
        self.generator = torch.Generator().manual_seed(seed)
        self.on_data, self.source = source_of(xi, seed)
        if self.on_data and self.estimator is not None:
            raise ValueError(f"xi is batches of data, which take no estimator, but estimator is {estimator!r}.")

    def __call__(self, *context: Any) -> Float[Tensor, ""]:
        """A loss to call ``backward()`` on: the mean over K samples and over the batch; NaN where f gives NaN.

        Args:
            context: passed on to ``xi(*context)`` and ``f(samples, *context)``: a batch of data, say.

        Raises:
            BiasedGradientError: at the first call with gradients, if the estimator's would be wrong.
            TypeError, ValueError: f or xi gives what it should not, or the estimator does not fit it.
        """
        with drawing_from(self.generator):
            loss = self._estimates((1, self.samples), context).squeeze(0)
        if isinstance(self.estimator, Score):
            self.estimator.remember(loss)
        return loss

    def gradient(
        self, inputs: Tensor | Iterable[Tensor], *context: Any, repeats: int = 100, at_once: int = 32
    ) -> Gradient:
        r"""The gradient with its standard error, from ``repeats`` independent estimates of K samples each.

        The standard error is that of the mean of r independent estimates, so it is right for every estimator, also
        where the samples of one estimate depend on each other (baselines, antithetic pairs). Batches that a loader
        deals out without replacement err less than independent ones: there it is an upper bound. Where single estimates
        are skewed, as the score's often are, a t interval from 50 of them may hold the truth nine times in ten instead
        of 19 in 20: take more.

        ``at_once`` estimates share one forward and one backward pass: all their samples go through f in one call, and
        the backward pass is vectorised over the estimates (``is_grads_batched``), whose cost grows as the square of
        ``at_once``.

        Args:
            inputs: the parameters, as for ``torch.autograd.grad``; those that the expectation does not depend on get 0.
            context: as for the call.
            repeats: r, 2 or more.
            at_once: how many of them are computed together.

        Raises:
            ValueError: ``repeats`` is below 2 or ``at_once`` below 1; there are no ``inputs``, or one of them does not
                require gradients.
            TypeError: one of them is no tensor.
        """
        if repeats < 2 or at_once < 1:
            raise ValueError(f"repeats must be 2 or more and at_once 1 or more, but they are {repeats} and {at_once}.")
        parameters = parameters_of(inputs)
        at_once = 1 if self.on_data else at_once
        parts, values = [], []
        with torch.enable_grad(), drawing_from(self.generator):
            for start in range(0, repeats, at_once):
                estimates = self._estimates((min(at_once, repeats - start), self.samples), context)
                parts.append(rows(estimates, parameters))
                values.append(estimates.detach())
        return Gradient(tuple(torch.cat(part) for part in zip(*parts, strict=True)), torch.cat(values))

    def _estimates(self, shape: Shape, context: tuple[Any, ...]) -> Float[Tensor, " r"]:
        f = (lambda xi: self.f(xi, *context)) if context else self.f
        if self.on_data:
            return torch.stack([loss_of(f, self.source()) for _ in range(shape[0] * shape[1])]).view(shape).mean(1)
        p = self.source(*context)
        return self._settled(f, p)(f, p, shape).flatten(1).mean(1)

    def _settled(self, f: Function, p: Distribution) -> Estimator:
        """The estimator: chosen at the first call, checked at the first with gradients, on draws from elsewhere."""
        due = self.unchecked and torch.is_grad_enabled()
        if self.estimator is None or due:
            with torch.inference_mode(False), drawing_from(torch.Generator().manual_seed(0)):
                estimator = chosen(f, p) if self.estimator is None else self.estimator
                if due:
                    refuse_bias(f, p, estimator)
            self.estimator, self.unchecked = estimator, self.unchecked and not due
        return self.estimator
