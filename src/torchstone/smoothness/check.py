"""What is known of a program before it is trained: one run of it, watched operation by operation."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from torchstone.smoothness.call import tensors
from torchstone.smoothness.domain import joined
from torchstone.smoothness.findings import report_of
from torchstone.smoothness.jacobian import exact_lipschitz
from torchstone.smoothness.report import Report, Site
from torchstone.smoothness.restore import AsFound
from torchstone.smoothness.sources import check_program, modules_of, sources_of
from torchstone.smoothness.tracer import Tracer
from torchstone.smoothness.unseen import confirmed

Parameters = nn.Module | Mapping[str, Tensor] | Iterable[Tensor]


def check(
    program: Callable[..., Any],
    *inputs: Any,
    loss: Callable[[Any], Any] | None = None,
    params: Parameters | None = None,
    wrt: Literal["params", "inputs", "both"] = "params",
    require: Any = None,
) -> Report:
    r"""Say, before the first training step, which parameters a gradient reaches, and how smooth a program is.

    The program runs once on the sample ``inputs``. Every torch function that it calls tells, by a table of rules, what
    becomes of six properties of its operands; compositions follow from

    .. math:: \mathrm{order}(g \circ f) = \min(\mathrm{order}\, g, \mathrm{order}\, f), \quad
              L_{g \circ f} \le L_g L_f, \quad \mathrm{live}(g \circ f) = \mathrm{live}(f) \text{ unless } g' \equiv 0

    What the tables do not know is *unknown*, and never guessed. Verdicts hold for the branch that Python took, with the
    numbers that left torch as they were. Everything is left as it was found: inputs, gradients, buffers and other
    attributes of modules, and the generators of torch, numpy and Python.

    Args:
        program: a module, or a function that uses parameters.
        inputs: a sample of what it takes.
        loss: applied to what the program returns.
        params: the parameters, where ``program`` is no module: a module, a dictionary by name, or a list.
        wrt: what smoothness, Lipschitz bound and gradients are about: ``"params"``, ``"inputs"`` or ``"both"``.
        require: the report has an error unless it is of this order or class: ``C1``, ``Order(1)``, ``Lipschitz(2)``,
            ``PiecewiseLinear``.

    Returns:
        The report; nothing in it raises until :meth:`Report.raise_if`.

    Raises:
        TypeError: ``program`` is not callable or compiled, or nothing was returned that has a gradient.
        ValueError: there is nothing to differentiate with respect to.

    Example:
        >>> from torchstone.nets import seeded
        >>> with seeded(0):
        ...     net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        >>> report = check(net, torch.ones(4, 2), loss=lambda y: y.square().mean())
        >>> report.order, report.live
        (analytic, ('0.weight', '0.bias', '2.weight', '2.bias'))
        >>> print(check(net, torch.ones(4, 2), loss=lambda y: y.detach().mean()).blocked["2.bias"].message)
        parameter '2.bias' gets no gradient: 'detach' cuts the gradient off

    Paper: Elliott 2018, arXiv:1804.00746, for differentiability as a property that composes; orders are those of
        ``smoothOrder`` in the Modelica Language Specification.
    Differs from the paper: the properties are inferred, for a program that runs in Python.
    """
    check_program(program, loss)
    sources = sources_of(program, params, loss, wrt)
    with (
        AsFound(modules_of(program, loss, params), [*sources.parameters, *tensors(inputs)]) as found,
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        inputs = sources.watched(inputs)
        tracer = Tracer(sources.seen, found)
        try:
            with tracer:
                output = program(*inputs)
                output = output if loss is None else loss(output)
        except Exception as error:
            error.add_note("This happened while torchstone.smoothness.check ran the program on the sample inputs.")
            raise
        outputs = outputs_of(output)
        result = joined([tracer.value(tensor) for tensor in outputs], Site(op="result"))
        result = confirmed(result, outputs, sources.leaves, tracer.values.trusted)
        bound = exact_lipschitz(result, outputs, list(sources.leaves.values()))
    return report_of(result, bound, tracer, sources, require)


def outputs_of(output: Any) -> list[Tensor]:
    """The tensors that a program returned; none if it returned numbers."""
    found = list(dict.fromkeys(tensors(output)))
    if not found and not isinstance(output, bool | int | float | complex):
        raise TypeError(
            f"program returned an object of type {type(output).__name__} without a tensor in lists, tuples or "
            "dictionaries. Return tensors, or give loss=, which is applied to what is returned."
        )
    return found
