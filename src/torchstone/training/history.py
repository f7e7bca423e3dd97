"""What was measured at each step: kept on the device while training runs, fetched rarely."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

_FETCH_EVERY = 500  # steps whose values may wait on the device


@dataclass(frozen=True)
class History:
    """The metrics of a fit, one value a step.

    Args:
        metrics: by ``"player/metric"``, such as ``"player/loss"``: float64 on the CPU, t values. Each was measured
            before the update of its step; with several turns a round, in the last of them. Where a player did not
            report a metric it is NaN.

    Example:
        >>> history = History({"player/loss": torch.tensor([4.0, 1.0], dtype=torch.float64)})
        >>> history.steps, history.final
        (tensor([0, 1]), {'player/loss': 1.0})
    """

    metrics: Mapping[str, Float[Tensor, " t"]]

    @property
    def steps(self) -> Int[Tensor, " t"]:
        """The number of each step, from 0."""
        return torch.arange(max((len(values) for values in self.metrics.values()), default=0))

    @property
    def final(self) -> dict[str, float]:
        """The last value of each metric."""
        return {name: float(values[-1]) for name, values in self.metrics.items() if len(values)}


@dataclass
class Recorder:
    """Collects one row of scalars a step; ``history()`` fetches what still waits on the device."""

    fetched: dict[str, Float[Tensor, " t"]] = field(default_factory=dict)
    waiting: list[Mapping[str, Tensor]] = field(default_factory=list)

    def add(self, row: Mapping[str, Tensor]) -> None:
        """Add the scalars of one step."""
        self.waiting.append(row)
        if len(self.waiting) >= _FETCH_EVERY:
            self._fetch()

    def history(self) -> History:
        """All that was recorded."""
        self._fetch()
        return History(dict(self.fetched))

    def _fetch(self) -> None:
        done = max((len(values) for values in self.fetched.values()), default=0)
        for name in dict.fromkeys([*self.fetched, *(name for row in self.waiting for name in row)]):
            before = self.fetched.get(name, _absent(done))
            self.fetched[name] = torch.cat([before, _column(name, self.waiting)])
        self.waiting = []


def _column(name: str, rows: list[Mapping[str, Tensor]]) -> Float[Tensor, " t"]:
    column = _absent(len(rows))
    where = [index for index, row in enumerate(rows) if name in row]
    if where:
        column[where] = torch.stack([rows[index][name] for index in where]).cpu().double()
    return column


def _absent(length: int) -> Float[Tensor, " t"]:
    return torch.full((length,), torch.nan, dtype=torch.float64)
