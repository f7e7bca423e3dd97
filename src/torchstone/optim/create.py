"""Any rule of the catalogue, by name."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, get_args

from torch import Tensor
from torch.optim import Optimizer

from torchstone.optim.base import Impl, check_impl
from torchstone.optim.catalogue import RULES, Rule, Semantics, Variant
from torchstone.optim.feasible import Feasible, project
from torchstone.optim.hyper import check_hyper


def create(
    name: str,
    params: Iterable[Any],
    *,
    semantics: Semantics = "torch",
    feasible: Feasible | None = None,
    impl: Impl = "auto",
    **hyper: Any,
) -> Optimizer:
    r"""The optimizer ``name``, in the semantics of a library or of its paper.

    .. math:: x_t = \Pi_F\left(x_{t-1} - \alpha_t \frac{\varphi_t(g_1, ..., g_t)}
              {\sqrt{\psi_t(g_1^2, ..., g_t^2)}}\right)

    ``RULES[name]`` says what :math:`\varphi, \psi, \alpha` are. Where ``torch.optim`` has the rule, the optimizer is
    torch's own class, fused on the processor; the others are classes of this package. All of them have parameter
    groups, closures, hooks, state dicts and work with torch's schedulers.

    Args:
        name: sgd, momentum, nesterov, adagrad, adadelta, rmsprop, rmsprop_momentum, adam, nadam, amsgrad, adamnc.
        params: parameters, named parameters, or groups with hyperparameters of their own.
        semantics: ``"torch"``, ``"paper"``, ``"keras"`` (3) or ``"optax"``: where ε stands, what the averages start
            from, whether the step size is in the buffer, what is corrected when, and the defaults. Decay stays
            coupled L2 in all of them.
        feasible: :math:`F`, onto which parameters are projected after each step: :func:`torchstone.optim.project`.
        impl: ``"auto"`` is the fastest; ``"for"``, ``"foreach"`` and ``"fused"`` are single ones, for comparison.
        hyper: by torch's names: lr, betas, eps, weight_decay, momentum, rho, alpha, maximize, ...

    Returns:
        The optimizer.

    Raises:
        ValueError: no such rule, semantics or ``impl``, a rule that the library lacks, a hyperparameter that is out of
            range, a group without parameters, or ``impl="fused"`` for a rule without a fused kernel or parameters with
            gaps in memory.
        TypeError: a hyperparameter that the rule does not have, or that is no number; a module or a tensor in place of
            a list of parameters; integer parameters.

    >>> import torch
    >>> x = torch.tensor([3.0], requires_grad=True)
    >>> optimizer = create("adam", [x], lr=0.1, feasible=(-1.0, 2.95))
    >>> x.square().backward()
    >>> optimizer.step()
    >>> x
    tensor([2.9000], requires_grad=True)

    Paper: Reddi, Kale, Kumar 2018, arXiv:1904.09237, algorithm 1.
    Differs from the paper: each rule keeps its own ε and bias correction; see ``semantics``.
    """
    check_impl(impl)
    variant = variant_of(rule_of(name), semantics)
    refuse_unknown(name, semantics, variant, hyper)
    check_hyper(hyper)
    optimizer = variant.build(checked(params), impl=impl, **{**variant.defaults, **hyper, **variant.fixed})
    for group in optimizer.param_groups:
        refuse_integers(group)
    if feasible is not None:
        project(optimizer, feasible)
    return optimizer


def rule_of(name: str) -> Rule:
    """The rule of this name."""
    if name in RULES:
        return RULES[name]
    near = get_close_matches(str(name).lower(), RULES, n=1)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"There is no rule {name!r}.{guess} The rules are {', '.join(RULES)}.")


def variant_of(rule: Rule, semantics: str) -> Variant:
    """The rule as ``semantics`` has it."""
    if semantics in rule.semantics:
        return rule.semantics[semantics]
    if semantics in get_args(Semantics):
        raise ValueError(f"{semantics} has no {rule.title}: semantics may be {', '.join(rule.semantics)}.")
    raise ValueError(f"semantics must be 'torch', 'paper', 'keras' or 'optax', but it is {semantics!r}.")


def refuse_unknown(name: str, semantics: str, variant: Variant, hyper: dict[str, Any]) -> None:
    """Refuse hyperparameters that the rule lacks."""
    unknown = [word for word in hyper if word not in variant.defaults]
    if unknown:
        raise TypeError(
            f"{name} has no {' and no '.join(unknown)} in {semantics} semantics. "
            f"Its hyperparameters are {', '.join(variant.defaults)}."
        )


def checked(params: Any) -> list[Any]:
    """Parameters or groups of them, as a list."""
    if isinstance(params, (Tensor, str)) or not isinstance(params, Iterable):
        raise TypeError(
            "params must be parameters, named parameters or groups, such as model.parameters(), "
            f"but it is a {type(params).__name__}."
        )
    items = list(params)
    for item in items:
        if isinstance(item, dict) and "params" not in item:
            raise ValueError(f"A parameter group must have 'params', but this one has only {', '.join(item)}.")
    return items


def refuse_integers(group: dict[str, Any]) -> None:
    """Refuse parameters that cannot have a gradient."""
    for place, parameter in enumerate(group["params"]):
        if not (parameter.is_floating_point() or parameter.is_complex()):
            raise TypeError(
                f"Parameter {place}, of shape {tuple(parameter.shape)}, is of type {parameter.dtype}, but only "
                "floating-point and complex parameters have gradients. Convert it by .float()."
            )
