"""What the optimizers that torch lacks have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchstone.optim.blocks import GRADIENT, Row, blocks, flat, unflatten
from torchstone.optim.hyper import check_hyper

Impl = Literal["auto", "for", "foreach", "fused"]
Tensors = list[Tensor] | tuple[Tensor, ...]
Group = dict[str, Any]


class ElementwiseOptimizer(Optimizer, ABC):
    """A rule that treats every number of a parameter alike.

    A parameter's state is made when it first gets a gradient, and counts that parameter's own steps t = 1, 2, ...
    Half parameters keep their states in float32; complex ones are moved as pairs of real numbers. A gradient that is
    not finite moves its parameter to nan, as in torch.
    """

    has_fused: ClassVar[bool] = False

    def __init__(self, params: Any, defaults: Group) -> None:
        check_impl(defaults["impl"])
        if defaults["impl"] == "fused" and not self.has_fused:
            raise ValueError(f"{type(self).__name__} has no fused kernel. Give impl='auto', 'for' or 'foreach'.")
        super().__init__(params, defaults)

    @abstractmethod
    def states(self, group: Group) -> tuple[str, ...]:
        """Names of what is kept of each parameter, in its shape."""

    @abstractmethod
    def update(self, group: Group, time: Any, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """Move ``x`` in place by the gradients ``g`` and the ``states``, at ``time``."""

    def fused(self, group: Group, time: Any, x: Tensors, g: Tensors, *states: Tensors) -> bool:
        """As :meth:`update`, by one fused kernel, decay and direction included; False where there is none."""
        return False

    def advance(self, group: Group, state: Group) -> Hashable:
        """Count a step of a parameter and return its time: t, and what else the update depends on."""
        state["step"] += 1
        return int(state["step"])

    def start(self, group: Group) -> float:
        """What the states are filled with at first."""
        return 0.0

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters with hyperparameters of their own.

        Raises:
            ValueError: a hyperparameter is out of range, or there is no such ``impl``.
        """
        check_impl(param_group.get("impl", self.defaults["impl"]))
        check_hyper(self.defaults | param_group)
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient.

        Args:
            closure: evaluates the loss anew, with its gradients.

        Returns:
            What the closure returned, or None.

        Raises:
            RuntimeError: a gradient is sparse, or ``impl`` is ``"fused"`` where the kernel does not apply.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for place, group in enumerate(self.param_groups):
            for (time, *_), rows in self._together(place, group).items():
                self._move(group, time, rows)
        return loss

    def load_state_dict(self, state_dict: Group) -> None:
        """Take over a state in the precision in which it was kept (torch would round it to the parameter's)."""
        super().load_state_dict(state_dict)
        places = [place for group in state_dict["param_groups"] for place in group["params"]]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for place, parameter in zip(places, parameters, strict=True):
            for name, saved in state_dict["state"].get(place, {}).items():
                if isinstance(saved, Tensor):
                    self.state[parameter][name] = saved.to(parameter.device, state_dtype(parameter), copy=True)

    def _together(self, place: int, group: Group) -> dict[tuple[Any, ...], list[Row]]:
        """The parameters that move together: at the same time, of the same type, on the same device."""
        together: dict[tuple[Any, ...], list[Row]] = {}
        names = self.states(group)
        for number, parameter in enumerate(group["params"]):
            gradient = parameter.grad
            if gradient is None:
                continue
            if gradient.layout is not torch.strided:
                raise RuntimeError(
                    f"Parameter {number} of group {place}, of shape {tuple(parameter.shape)}, has a sparse gradient, "
                    f"and {type(self).__name__} needs dense ones. Give nn.Embedding sparse=False, or move this "
                    "parameter by torch.optim.SparseAdam."
                )
            state = self.state[parameter]
            if not state:
                self._begin(group, parameter, state)
            time = self.advance(group, state)
            row = (parameter, gradient, *(state[name] for name in names))
            together.setdefault((time, parameter.dtype, parameter.device), []).append(row)
        return together

    def _begin(self, group: Group, parameter: Tensor, state: Group) -> None:
        state["step"] = 0
        for name in self.states(group):
            state[name] = torch.full_like(
                real(parameter),
                self.start(group),
                dtype=state_dtype(parameter),
                memory_format=torch.preserve_format,
            )

    def _move(self, group: Group, time: Any, rows: list[Row]) -> None:
        if rows[0][0].is_complex():
            rows = [(real(x), real(g), *states) for x, g, *states in rows]
        impl = group["impl"]
        fusible = impl in ("auto", "fused") and self.has_fused and same_layout(rows)
        if fusible and self.fused(group, time, *zip(*rows, strict=True)):
            return
        if impl == "fused":
            raise RuntimeError(
                f"impl='fused' of {type(self).__name__} needs float32 or float64 parameters, gradients laid out in "
                "memory as they are, a torch with its fused kernel, and hyperparameters that the kernel knows. "
                "Give impl='auto'."
            )
        if impl == "auto" and rows[0][0].device.type == "cpu":
            for block in blocks(rows):
                self._move_packed(group, time, block)
        else:
            for block in [rows] if impl != "for" else [[row] for row in rows]:
                self._move_block(group, time, block)

    def _move_packed(self, group: Group, time: Any, block: list[Row]) -> None:
        """Move small tensors as one large one."""
        columns = list(zip(*block, strict=True))
        packed = [flat(column) for column in columns]
        self._move_block(group, time, [tuple(packed)])
        for place, column in enumerate(columns):
            if place != GRADIENT:
                unflatten(packed[place], column)

    def _move_block(self, group: Group, time: Any, block: list[Row]) -> None:
        x, g, *states = (list(column) for column in zip(*block, strict=True))
        exact, g = ([tensor.to(state_dtype(tensor)) for tensor in column] for column in (x, g))
        self.update(group, time, exact, directed(group, exact, g), *states)
        if exact[0] is not x[0]:
            torch._foreach_copy_(x, exact)


def check_impl(impl: str) -> None:
    """Refuse an ``impl`` that does not exist."""
    if impl not in get_args(Impl):
        raise ValueError(f"impl must be 'auto', 'for', 'foreach' or 'fused', but it is {impl!r}.")


def directed(group: Group, x: Tensors, g: Tensors) -> Tensors:
    """The gradients of what is minimised: negated by ``maximize``, with those of weight decay added."""
    if group["maximize"]:
        g = torch._foreach_neg(g)
    if group["weight_decay"]:
        g = torch._foreach_add(g, x, alpha=group["weight_decay"])
    return g


def denominator(v: Tensors, eps: float, in_root: bool = False) -> Tensors:
    r"""√v + ε, or √(v + ε); ε = 0 stands for the least normal number, so that a gradient of 0 moves nothing."""
    if in_root and eps:
        root = torch._foreach_add(v, eps)
        torch._foreach_sqrt_(root)
        return root
    root = torch._foreach_sqrt(v)
    torch._foreach_add_(root, eps or torch.finfo(v[0].dtype).tiny)
    return root


def same_layout(rows: list[Row]) -> bool:
    """Whether a kernel may walk through each row's memory without looking at its strides."""
    return all(x.stride() == g.stride() == s.stride() for x, g, s, *_ in rows)


def state_dtype(parameter: Tensor) -> torch.dtype:
    """Of the real numbers that a state consists of: float32 for half parameters."""
    dtype = parameter.dtype.to_real()
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def real(tensor: Tensor) -> Tensor:
    """Complex numbers as pairs of real ones."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor
