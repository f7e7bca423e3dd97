"""What the optimizers that torch lacks have in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

from torchstone.optim.blocks import Row, blocks
from torchstone.optim.hyper import check_hyper

Impl = Literal["auto", "for", "foreach", "fused"]
Tensors = Sequence[Tensor]
Group = dict[str, Any]


class ElementwiseOptimizer(Optimizer, ABC):
    """A rule that treats every number of a parameter alike, and keeps ``states`` of the parameter's shape.

    A parameter's state is made when it first gets a gradient, and counts its own steps t = 1, 2, ... Half parameters
    keep their states in float32; complex ones are moved as pairs of real numbers.
    """

    states: ClassVar[tuple[str, ...]]

    def __init__(self, params: Any, defaults: Group) -> None:
        if defaults["impl"] not in ("auto", "for", "foreach", "fused"):
            raise ValueError(f"impl must be 'auto', 'for', 'foreach' or 'fused', but it is {defaults['impl']!r}.")
        super().__init__(params, defaults)

    @abstractmethod
    def update(self, group: Group, t: int, x: Tensors, g: Tensors, *states: Tensors) -> None:
        """Move ``x`` in place by the gradients ``g`` and the ``states``, in their ``t``-th step."""

    def fused(self, group: Group, t: int, x: Tensors, g: Tensors, *states: Tensors) -> bool:
        """As :meth:`update`, by one fused kernel; False, with nothing done, where there is none."""
        return False

    def start(self, group: Group, name: str) -> float:
        """What state ``name`` is filled with at first."""
        return 0.0

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters with hyperparameters of their own.

        Raises:
            ValueError: a hyperparameter is out of range.
        """
        check_hyper(self.defaults | param_group)
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """Move every parameter that has a gradient.

        Args:
            closure: evaluates the loss anew, with its gradients.

        Returns:
            What the closure returned, or None.

        Raises:
            RuntimeError: a gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for place, group in enumerate(self.param_groups):
            for t, rows in self._rows(place, group).items():
                self._move(group, t[0], rows)
        return loss

    def _rows(self, place: int, group: Group) -> dict[tuple[Any, ...], list[Row]]:
        """The parameters that move together: at the same step, of the same type, on the same device."""
        together: dict[tuple[Any, ...], list[Row]] = {}
        for number, parameter in enumerate(group["params"]):
            if parameter.grad is None:
                continue
            if parameter.grad.layout is not torch.strided:
                raise RuntimeError(
                    f"Parameter {number} of group {place}, of shape {tuple(parameter.shape)}, has a sparse gradient, "
                    f"and {type(self).__name__} needs dense ones. Give nn.Embedding sparse=False, or move this "
                    "parameter by torch.optim.SparseAdam."
                )
            state = self.state[parameter]
            if not state:
                self._begin(group, parameter, state)
            state["step"] += 1
            row = (parameter, parameter.grad)
            if parameter.is_complex():
                row = (torch.view_as_real(parameter), torch.view_as_real(parameter.grad))
            key = (state["step"], parameter.dtype, parameter.device)
            together.setdefault(key, []).append((*row, *(state[name] for name in self.states)))
        return together

    def _begin(self, group: Group, parameter: Tensor, state: Group) -> None:
        like = torch.view_as_real(parameter) if parameter.is_complex() else parameter
        state["step"] = 0
        for name in self.states:
            state[name] = torch.full_like(
                like, self.start(group, name), dtype=state_dtype(parameter), memory_format=torch.preserve_format
            )

    def _move(self, group: Group, t: int, rows: list[Row]) -> None:
        impl = group["impl"]
        if impl in ("auto", "fused") and rows[0][0].dtype in (torch.float32, torch.float64):
            if self.fused(group, t, *zip(*rows, strict=True)):
                return
        for block in self._blocks(impl, rows):
            self._move_block(group, t, block)

    def _blocks(self, impl: Impl, rows: list[Row]) -> Iterable[list[Row]]:
        if impl == "for":
            return ([row] for row in rows)
        if impl == "foreach" or rows[0][0].device.type != "cpu":
            return [rows]
        return blocks(rows)

    def _move_block(self, group: Group, t: int, block: list[Row]) -> None:
        x, g, *states = (list(column) for column in zip(*block, strict=True))
        exact, g = [in_state_dtype(tensor) for tensor in x], [in_state_dtype(tensor) for tensor in g]
        self.update(group, t, exact, directed(group, exact, g), *states)
        if exact[0] is not x[0]:
            torch._foreach_copy_(x, exact)

    def load_state_dict(self, state_dict: Group) -> None:
        """Take over a state, in the precision in which it was kept (torch would round it to the parameter's)."""
        super().load_state_dict(state_dict)
        places = [place for group in state_dict["param_groups"] for place in group["params"]]
        parameters = [parameter for group in self.param_groups for parameter in group["params"]]
        for place, parameter in zip(places, parameters, strict=True):
            for name in self.states if place in state_dict["state"] else ():
                saved = state_dict["state"][place][name]
                self.state[parameter][name] = saved.to(parameter.device, state_dtype(parameter), copy=True)


def directed(group: Group, x: list[Tensor], g: list[Tensor]) -> list[Tensor]:
    """The gradients of what is minimised: negated by ``maximize``, with those of weight decay added."""
    if group["maximize"]:
        g = list(torch._foreach_neg(g))
    if group["weight_decay"]:
        g = list(torch._foreach_add(g, x, alpha=group["weight_decay"]))
    return g


def state_dtype(parameter: Tensor) -> torch.dtype:
    """Of the real numbers that a state consists of: float32 for half parameters."""
    dtype = parameter.dtype.to_real()
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def in_state_dtype(tensor: Tensor) -> Tensor:
    """A tensor in the precision of its state: itself, unless it is half."""
    return tensor.to(state_dtype(tensor))
