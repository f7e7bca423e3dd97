"""A player: one minimiser, with what it may move, what it wants and how it moves."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

Batch = Any
Objective = Callable[[Batch], Tensor | Mapping[str, Tensor | float]]
Recipe = dict[str, Any]
"""How a player moves, by name: ``optimizer.0.lr`` is the first learning rate of the first group of parameters."""


@dataclass(eq=False)
class Player:
    r"""One minimiser of :math:`\min_\theta \mathbb{E}_\xi f(\theta, \xi)`.

    Args:
        model: holds every parameter :math:`\theta` that ``optimizer`` moves; its whole state is checkpointed.
        objective: :math:`f`: from a batch :math:`\xi` to a scalar, or to a mapping whose ``"loss"`` is minimised and
            whose other entries (scalars) are recorded.
        optimizer: moves its own parameters and no others; gradients reach no others.
        turns: updates a round. Turn j of every player sees the round's batch number j.
        scheduler: stepped after each update.
        ema: decay :math:`\beta` of the average :math:`m_t = \beta m_{t-1} + (1-\beta)\theta_t`, :math:`m_0 = \theta_0`,
            taken after each update; ``None`` for no average. :meth:`averaged` gives the model with it.
        name: what comes before the slash in the history: ``"player/loss"``.

    Raises:
        ValueError: a turn count below 1, a decay outside [0, 1), an optimizer whose parameters are not the model's, or
            a scheduler that needs a metric.

    Example:
        >>> model = nn.Linear(3, 1)
        >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        >>> Player(model, lambda batch: model(batch).square().mean(), optimizer).name
        'player'
    """

    model: nn.Module
    objective: Objective
    optimizer: torch.optim.Optimizer
    turns: int = 1
    scheduler: LRScheduler | None = None
    ema: float | None = None
    name: str = "player"
    average: dict[str, Tensor] | None = field(default=None, init=False, repr=False)
    recipe: Recipe = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.turns < 1:
            raise ValueError(f"turns of player {self.name!r} must be 1 or more, but it is {self.turns}.")
        if self.ema is not None and not 0 <= self.ema < 1:
            raise ValueError(f"ema of player {self.name!r} must lie in [0, 1), but it is {self.ema}.")
        if isinstance(self.scheduler, ReduceLROnPlateau):
            raise ValueError(
                f"scheduler of player {self.name!r} is a ReduceLROnPlateau, which needs a metric at each step. Give a "
                "scheduler that is a function of the step, or step this one in a callback."
            )
        known = {id(parameter) for parameter in self.model.parameters()}
        if any(id(parameter) not in known for parameter in self._optimized()):
            raise ValueError(
                f"optimizer of player {self.name!r} moves parameters that are not in its model, so a checkpoint would "
                "miss them. Put all of them into one nn.ModuleDict or nn.ParameterDict and give that as the model."
            )
        self.recipe = self._recipe()

    def averaged(self) -> nn.Module:
        """A copy of the model with the averaged parameters in place of the last ones; its buffers are the last ones.

        Raises:
            ValueError: the player has no average, since ``ema`` is ``None`` or it was never fitted.
        """
        if self.average is None:
            raise ValueError(f"Player {self.name!r} has no average. Give it ema=0.999, say, and fit it first.")
        model = deepcopy(self.model)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(self.average[name])
        return model

    def start(self) -> None:
        """Begin the average at the parameters as they are."""
        if self.ema is not None:
            self.average = {name: value.detach().clone() for name, value in self.model.named_parameters()}

    def evaluate(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """The objective on ``batch`` as named scalars, ``"loss"`` among them.

        Raises:
            TypeError: the objective returned something else than a tensor or a mapping with ``"loss"``.
            ValueError: an entry is not a real scalar, or the loss has no gradient.
        """
        return self.with_gradient(self.read(self.objective(batch)))

    def read(self, value: Tensor | Mapping[str, Tensor | float]) -> dict[str, Float[Tensor, ""]]:
        """What the objective returned, as named scalars.

        Raises:
            TypeError, ValueError: as :meth:`evaluate`, but for the gradient.
        """
        entries = {"loss": value} if isinstance(value, Tensor) else value
        loss = entries.get("loss") if isinstance(entries, Mapping) else None
        if not isinstance(loss, Tensor):
            raise TypeError(
                f"objective of player {self.name!r} must return a scalar tensor, or a dict with one under 'loss', but "
                f"it returned {_describe(entries)}."
            )
        metrics = {name: self._tensor(name, entry, loss.device) for name, entry in entries.items()}
        for name, entry in metrics.items():
            if entry.ndim or entry.is_complex():
                raise ValueError(
                    f"objective of player {self.name!r} returned {name!r} with shape {tuple(entry.shape)} and type "
                    f"{entry.dtype}, but each entry must be a real scalar. Take the mean over the batch."
                )
        return metrics

    def with_gradient(self, metrics: dict[str, Float[Tensor, ""]]) -> dict[str, Float[Tensor, ""]]:
        """The same metrics, if ``"loss"`` can be differentiated.

        Raises:
            ValueError: it cannot.
        """
        if not metrics["loss"].requires_grad:
            raise ValueError(
                f"The loss of player {self.name!r} has no gradient: it was made under torch.no_grad(), detached, or "
                "depends on no parameter that requires one."
            )
        return metrics

    def _tensor(self, name: str, entry: Any, device: torch.device) -> Tensor:
        try:
            return torch.as_tensor(entry, device=device)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(
                f"objective of player {self.name!r} returned {name!r} of type {type(entry).__name__}, but each entry "
                "must be a real scalar. Leave it out, or give a number."
            ) from error

    def learning(self) -> dict[str, nn.Parameter]:
        """The parameters that the optimizer moves, by their names in the model, without frozen ones."""
        own = {id(parameter) for parameter in self._optimized() if parameter.requires_grad}
        return {name: parameter for name, parameter in self.model.named_parameters() if id(parameter) in own}

    def move(self, loss: Float[Tensor, ""]) -> None:
        """One update: the gradient of ``loss`` for the optimizer's own parameters, a step, the scheduler, the average.

        Raises:
            ValueError: ``loss`` does not depend on any parameter of the optimizer.
        """
        own = [parameter for parameter in self._optimized() if parameter.requires_grad]
        self.optimizer.zero_grad(set_to_none=True)
        if own:
            torch.autograd.backward(loss, inputs=own)
        if all(parameter.grad is None for parameter in own):
            raise ValueError(
                f"The loss of player {self.name!r} does not depend on any parameter of its optimizer. Check that "
                "optimizer and objective belong to the same model."
            )
        self.optimizer.step()
        if self.scheduler is not None:
            self.scheduler.step()
        if self.average is not None and self.ema is not None:
            parameters: list[Tensor] = list(self.model.parameters())
            with torch.no_grad():
                torch._foreach_lerp_(list(self.average.values()), parameters, 1 - self.ema)

    def state_dict(self) -> dict[str, Any]:
        """All that the next update depends on, except the batches and the random numbers."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "average": self.average,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what :meth:`state_dict` returned, in place.

        Raises:
            ValueError: the state has a scheduler or an average and this player has none, or the other way round.
        """
        for part, own in (("scheduler", self.scheduler), ("average", self.average)):
            if (state[part] is None) != (own is None):
                raise ValueError(f"{part}: only one of the two has it, the saved player or player {self.name!r}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scheduler is not None:
            self.scheduler.load_state_dict(state["scheduler"])
        if self.average is not None:
            for name, value in self.average.items():
                value.copy_(state["average"][name])

    def _recipe(self) -> Recipe:
        """How this player moves, as it is before the first update."""
        recipe = {"ema": self.ema, "optimizer": type(self.optimizer).__name__, "scheduler": None}
        for index, group in enumerate(self.optimizer.param_groups):
            recipe |= {f"optimizer.{index}.{name}": value for name, value in group.items() if name != "params"}
        if self.scheduler is not None:
            recipe["scheduler"] = type(self.scheduler).__name__
            recipe |= {f"scheduler.{name}": value for name, value in self.scheduler.state_dict().items()}
        return deepcopy(recipe)

    def _optimized(self) -> list[nn.Parameter]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


def _describe(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"a mapping with {', '.join(map(repr, value)) or 'nothing'} in it"
    return f"a {type(value).__name__}"
