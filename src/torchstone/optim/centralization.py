"""Gradient centralization: the gradient of each unit's weights has mean zero, under any optimizer."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Inexact
from torch import Tensor, nn
from torch.optim import Optimizer

from torchstone.optim.base import ElementwiseOptimizer
from torchstone.optim.fan_in import Chosen, FanIn, fan_ins, owned_parameters

Location = Literal["gradient", "update"]
Group = dict[str, Any]
Target = tuple[Tensor, FanIn]

OUTSIDE = tuple(getattr(torch.optim, name) for name in ("AdamW", "Adafactor", "Muon") if hasattr(torch.optim, name))
INSIDE = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.Adamax,
    torch.optim.Adagrad,
    torch.optim.Adadelta,
    torch.optim.RMSprop,
    torch.optim.ASGD,
    ElementwiseOptimizer,
)


def centralize(
    gradient: Inexact[Tensor, "*shape"], dims: int | Sequence[int] | None = None
) -> Inexact[Tensor, "*shape"]:
    r"""The gradient with the mean over each unit's weights taken off.

    .. math:: \Phi(g_i) = g_i - \frac{1}{M} \sum_{j=1}^{M} g_{ij}, \qquad
              \Phi(G) = P G, \quad P = I - e e^\top, \quad e = \mathbf{1} / \sqrt{M}

    P projects: :math:`P = P^\top = P^2`, so :math:`\Phi` is linear, changes nothing when applied twice, and never
    lengthens the gradient.

    Args:
        gradient: the :math:`g_i`, one a unit i, in the layout of the weight; real or complex. It is left as it is.
        dims: the dimensions over which the M weights of one unit lie: ``None`` for all but the first, as in linear
            layers and convolutions; (0, 2, 3) for a two-dimensional transposed convolution without groups.

    Returns:
        :math:`\Phi(g)`, of the gradient's shape and dtype. NaN and infinities stay within their unit.

    Raises:
        ValueError: the gradient has no such dimensions, is empty along them, or is sparse.
        TypeError: the gradient is no tensor, or neither floating point nor complex.

    Example:
        >>> centralize(torch.tensor([[1.0, 2.0, 6.0], [5.0, 5.0, 5.0]]))
        tensor([[-2., -1.,  3.],
                [ 0.,  0.,  0.]])

    Paper: Yong, Huang, Hua, Zhang 2020, arXiv:2004.01461, equations 1 and 2.
    Differs from the paper: nothing.
    """
    chosen = _checked_dims(gradient, dims)
    return gradient - gradient.mean(chosen, keepdim=True)


class GradientCentralization:
    r"""Have any optimizer use centred gradients; the optimizer itself is used as before.

    With ``location="gradient"`` the optimizer sees :math:`\Phi(g + \lambda w)` in place of :math:`g + \lambda w`, where
    :math:`\lambda` is its coupled weight decay; with ``"update"``, whatever it makes of the gradient, its step becomes

    .. math:: w_{t+1} = w_t + \Phi(\Delta_t), \qquad \Delta_t = \text{step of the optimizer at } w_t

    Then the mean of the weights of each unit stays where it began: always with ``"update"``, and with ``"gradient"``
    under rules that are linear in the gradient (SGD with any momentum). Adam conserves it only with ``"update"``.

    Centred are weights of two or more dimensions. With ``model`` the modules decide: transposed convolutions over
    their own axes and within their groups; embeddings (also where a linear layer shares them), norms and biases never;
    other modules' parameters by shape, except for a first dimension of 1, which is a token's or a position's. Without
    it all goes by shape, and transposed convolutions would be centred over their outputs: give the model if it has any.
    Weights that feed their unit alone are left out with a warning: they would never move.

    Gradients are centred in place when ``optimizer.step()`` begins (after the closure, if there is one): ``p.grad`` is
    the centred one afterwards (less :math:`\lambda` times the mean weight, which the decay brings back), clipping comes
    before, and accumulated gradients and ``GradScaler`` work as ever, since :math:`\Phi` is linear. With ``"update"``
    gradients stay as they are. Schedulers, ``state_dict``, added groups, foreach and fused paths need nothing.
    A copy of the optimizer, or an unpickled one, has to be wrapped anew.

    Args:
        optimizer: any ``torch.optim.Optimizer`` that calls its hooks, as all do that inherit from it.
        model: the model whose parameters it moves; see above.
        conv_only: centre convolutions only; without ``model``, weights of four or more dimensions (the authors' rule,
            which misses one-dimensional convolutions).
        location: where to centre: ``"gradient"``, before the optimizer sees it, or ``"update"``, after.
        include: parameters, or shell patterns of their names, to centre though the rule leaves them out.
        exclude: parameters, or patterns, to leave alone; wins over ``include``.
        fold_weight_decay: whether decay is centred with the rest, so that it does not move the means. Without, coupled
            decay acts on them as it would have; decoupled decay with ``"update"`` multiplies them by
            :math:`1 - \eta\lambda` a step, :math:`\eta` the learning rate. Decoupled decay with ``"gradient"`` always
            does.
        decoupled: whether the optimizer's weight decay is decoupled; ``None`` where it says so or is one of torch's.

    Raises:
        TypeError: the optimizer, the model or what ``include`` or ``exclude`` list are no such things.
        ValueError: no parameter is left to centre; one is sharded within a unit; ``location`` is unknown; a name
            matches nothing; the optimizer has weight decay of a kind that is not known; coupled decay with
            ``"update"`` is not to be folded, which cannot be told apart. While stepping: a gradient is sparse.

    Example:
        >>> weight = nn.Parameter(torch.tensor([[1.0, 2.0], [3.0, 5.0]]))
        >>> optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9, weight_decay=0.01)
        >>> centred = GradientCentralization(optimizer)
        >>> for _ in range(10):
        ...     optimizer.zero_grad()
        ...     weight.pow(3).sum().backward()
        ...     optimizer.step()
        >>> weight.detach().mean(1)
        tensor([1.5000, 4.0000])
        >>> centred.remove()

    Paper: Yong, Huang, Hua, Zhang 2020, arXiv:2004.01461, algorithms 1 and 2.
    Differs from the paper: a wrapper, where the authors change each optimizer; their ``use_gc``, ``gc_conv_only`` and
        ``gc_loc=False`` are wrapping at all, ``conv_only`` and ``location="update"`` here. Axes of transposed
        convolutions; embeddings, tokens and fan-in 1 left out. With ``"update"``, decay is centred with the rest.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        model: nn.Module | None = None,
        *,
        conv_only: bool = False,
        location: Location = "gradient",
        include: Chosen | None = None,
        exclude: Chosen | None = None,
        fold_weight_decay: bool = True,
        decoupled: bool | None = None,
    ) -> None:
        _check_kinds(optimizer, model)
        if location not in ("gradient", "update"):
            raise ValueError(f"`location` must be 'gradient' or 'update', but is {location!r}.")
        self.optimizer, self.model, self.location = optimizer, model, location
        self.fold_weight_decay, self.decoupled = fold_weight_decay, decoupled
        self._rule: dict[str, Any] = {"conv_only": conv_only}
        for name, chosen in (("include", include), ("exclude", exclude)):
            self._rule[name] = list(chosen) if chosen is not None and not isinstance(chosen, str | Tensor) else chosen
        self._find_targets()
        self._sums: list[list[Tensor]] = []
        self._hooks = [optimizer.register_step_pre_hook(self._before)]
        if location == "update":
            self._hooks.append(optimizer.register_step_post_hook(self._after))

    @property
    def parameters(self) -> list[Tensor]:
        """The parameters that are centred."""
        return [parameter for targets in self._targets for parameter, _ in targets]

    def remove(self) -> None:
        """Take the hooks off: the optimizer steps as if it had never been wrapped."""
        for hook in self._hooks:
            hook.remove()

    def __repr__(self) -> str:
        rule, count = type(self.optimizer).__name__, len(self.parameters)
        return f"GradientCentralization({rule}, {self.location}, {count} of {sum(self._counts)} parameters)"

    def _find_targets(self) -> None:
        groups = self.optimizer.param_groups
        known = fan_ins(owned_parameters(self.optimizer, self.model), **self._rule)
        if not known:
            raise ValueError(
                "No parameter of the optimizer is left to centre: it needs a weight of two or more dimensions, neither "
                "an embedding's nor a norm's, with more than one weight a unit (with conv_only, a convolution's)."
            )
        self._counts = [len(group["params"]) for group in groups]
        self._targets = [[(p, known[id(p)]) for p in group["params"] if id(p) in known] for group in groups]
        for group in groups:
            self._folded_decay(group)
            self._kept(group)

    @torch.no_grad()
    def _before(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._counts != [len(group["params"]) for group in optimizer.param_groups]:
            self._find_targets()
        if self.location == "update":
            self._sums = [[fan_in.sum(parameter) for parameter, fan_in in targets] for targets in self._targets]
            return None
        if len(args) > 1 and args[1] is not None:  # args[0] is the optimizer
            return (args[0], self._centred(args[1]), *args[2:]), kwargs
        if kwargs.get("closure") is not None:
            return args, kwargs | {"closure": self._centred(kwargs["closure"])}
        self._centre_gradients()
        return None

    def _centred(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        def centred() -> Any:
            loss = closure()
            self._centre_gradients()
            return loss

        return centred

    @torch.no_grad()
    def _centre_gradients(self) -> None:
        r"""Make g into :math:`\Phi(g + \lambda w) - \lambda w`, to which the optimizer adds :math:`\lambda w`."""
        for group, targets in zip(self.optimizer.param_groups, self._targets, strict=True):
            decay = self._folded_decay(group)
            for parameter, fan_in in targets:
                if parameter.grad is None:
                    continue
                total = fan_in.sum(_dense(parameter.grad))
                if decay:
                    total += fan_in.sum(parameter) * decay
                fan_in.subtract_mean(parameter.grad, total)

    @torch.no_grad()
    def _after(self, optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Put the means of what has moved back to where they were before the step."""
        for group, targets, sums in zip(optimizer.param_groups, self._targets, self._sums, strict=True):
            kept = self._kept(group)
            for (parameter, fan_in), before in zip(targets, sums, strict=True):
                if parameter.grad is not None:
                    fan_in.subtract_mean(parameter, fan_in.sum(parameter) - before * kept)

    def _folded_decay(self, group: Group) -> Any:
        """The factor of the weights that the optimizer is going to add to the gradient, where that is to be centred."""
        decay = group.get("weight_decay", 0)
        if self.location == "update" or not self.fold_weight_decay or not decay or not self._decay_is_inside(group):
            return 0
        scale = getattr(self.optimizer, "grad_scale", None)  # a fused step under GradScaler: gradients still carry it
        return (-decay if group.get("maximize") else decay) * (1 if scale is None else scale)

    def _kept(self, group: Group) -> Any:
        """The factor of the means in a step with ``location="update"``: below 1 where decay is left to act on them."""
        decay = group.get("weight_decay", 0)
        if self.location == "gradient" or self.fold_weight_decay or not decay:
            return 1
        if self._decay_is_inside(group):
            raise ValueError(
                "`fold_weight_decay` must be True for coupled weight decay with location='update': within the "
                "optimizer's step the decay cannot be told from the gradient. Use a rule with decoupled decay, such as "
                "AdamW, or location='gradient'."
            )
        skipped = getattr(self.optimizer, "found_inf", 0)  # a fused step under GradScaler decides on the device
        return 1 - group["lr"] * decay * (skipped == 0)

    def _decay_is_inside(self, group: Group) -> bool:
        """Whether the optimizer adds the decay to the gradient."""
        if self.decoupled is not None:
            return not self.decoupled
        if "decoupled_weight_decay" in group:
            return not group["decoupled_weight_decay"]
        if isinstance(self.optimizer, OUTSIDE):
            return False
        if isinstance(self.optimizer, INSIDE):
            return True
        raise ValueError(
            f"Whether the weight decay of {type(self.optimizer).__name__} is added to the gradient is not known here. "
            "Say decoupled=False if it is, and decoupled=True if it shrinks the weights beside the gradient's step."
        )


def _check_kinds(optimizer: object, model: object) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"`optimizer` must be a torch.optim.Optimizer, but is a {type(optimizer).__name__}.")
    if model is not None and not isinstance(model, nn.Module):
        raise TypeError(f"`model` must be a torch.nn.Module, but is a {type(model).__name__}.")


def _dense(gradient: Tensor) -> Tensor:
    if gradient.layout is not torch.strided:
        raise ValueError(
            f"A gradient of shape {tuple(gradient.shape)} is sparse, and centred it would be dense. If it is an "
            "embedding's, give `model` or name it in `exclude`; else build the layer with sparse=False."
        )
    return gradient


def _checked_dims(gradient: Tensor, dims: int | Sequence[int] | None) -> tuple[int, ...]:
    if not isinstance(gradient, Tensor):
        raise TypeError(f"`gradient` must be a tensor, but is a {type(gradient).__name__}.")
    if not (gradient.is_floating_point() or gradient.is_complex()):
        raise TypeError(f"`gradient` must be floating point or complex, but is {gradient.dtype}. Convert it first.")
    _dense(gradient)
    n = gradient.ndim
    chosen = tuple(range(1, n)) if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    if not chosen or not all(-n <= dim < n for dim in chosen) or len({dim % n for dim in chosen}) < len(chosen):
        raise ValueError(
            f"`dims` must name different dimensions of the gradient, at least one, but is {dims} for a gradient of "
            f"shape {tuple(gradient.shape)}. Biases and other vectors have no fan-in and are not centred."
        )
    if not all(gradient.shape[dim] for dim in chosen):
        raise ValueError(
            f"`gradient` must have weights along `dims`, but its shape is {tuple(gradient.shape)} with dims={chosen}: "
            "a mean over nothing is not defined."
        )
    return chosen
