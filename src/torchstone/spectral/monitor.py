"""Which frequencies a network has learned, watched while it trains."""

from pathlib import Path

import torch
from jaxtyping import Complex, Float, Int
from torch import Tensor

from torchstone.files import read_tensors, write_tensors
from torchstone.spectral.output import one_output
from torchstone.spectral.signals import (
    Numbers,
    checked_amplitudes,
    checked_frequencies,
    checked_phases,
    sampling_matrix,
)
from torchstone.training import Round, evaluating


class FrequencyMonitor:
    r"""A callback of :func:`torchstone.training.fit` that records how much of each sine the network has learned.

    .. math:: c_i(t) = \frac{2\mathrm{i}}{A_i n} \sum_{j=0}^{n-1} f_{\theta_t}(x_j)\, e^{-2\pi\mathrm{i} k_i j/n}

    Its magnitude :math:`2|F(k_i)|/A_i` (:attr:`trace`) is 1 once the sine is learned, and
    :math:`|c_i - e^{\mathrm{i}\varphi_i}|` (:meth:`missing`) is 0. The second cannot be fooled by a network that has
    the right amplitude at the wrong phase. To see what the network does between its samples, add a second monitor on a
    finer grid, ``x=target.grid(8)[:, None]``.

    Each look is one forward pass in evaluation mode without gradients, and one product with an (n, k) matrix; training
    is not touched.

    A fit does not save its callbacks. If it may be killed and resumed, give ``file``: records are kept there, those
    after the checkpoint are dropped on a resume and taken anew, and the trace is that of a fit that never stopped.
    Without it the first call after a resume raises, rather than pass off a trace without its beginning.

    Args:
        frequencies: the :math:`k_i`, in cycles over the whole grid; see :class:`SumOfSines`.
        amplitudes: the :math:`A_i` of the target; one number stands for all.
        x: inputs of the network, (n, d), row j at place j/n of the even grid: ``target.z[:, None]``, or points along a
            curve.
        every: steps between records; the first is at step ``every``. Times read off the trace are exact to that.
        output: which entry of the network's flattened output, where there are several.
        player: which player's network, by its place in the list that was given to ``fit``.
        file: where records are kept for a resume (safetensors).

    Attributes:
        frequencies: the :math:`k_i`, float64, (k,).
        amplitudes: the :math:`A_i`, float64, (k,).

    Raises:
        ValueError: frequencies that alias or leak, amplitudes that are not positive, an ``x`` that is not (n, d),
            ``every`` below 1; when called: several outputs and none chosen, no such player, a resume without the
            records before it, a ``file`` of another monitor.

    Example:
        >>> from torchstone.spectral import SumOfSines
        >>> from torchstone.training import Player, fit
        >>> target = SumOfSines([1, 3], n=32, seed=0)
        >>> x, y = target.z[:, None], target.values[:, None]
        >>> model = torch.nn.Linear(1, 1)
        >>> player = Player(model, lambda _: (model(x) - y).square().mean(), torch.optim.Adam(model.parameters()))
        >>> monitor = FrequencyMonitor(target.frequencies, target.amplitudes, x, every=5)
        >>> _ = fit(player, [None], steps=20, callbacks=[monitor])
        >>> monitor.steps, monitor.trace.shape
        (tensor([ 5, 10, 15, 20]), torch.Size([4, 2]))

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 3, figure 1.
    Differs from the paper: phases are kept, too.
    """

    def __init__(
        self,
        frequencies: Numbers,
        amplitudes: Numbers,
        x: Float[Tensor, "n d"],
        every: int = 25,
        *,
        output: int | None = None,
        player: int = 0,
        file: Path | str | None = None,
    ) -> None:
        if x.ndim != 2:
            raise ValueError(f"x must have one input a row, (n, d), but its shape is {tuple(x.shape)}. Try x[:, None].")
        if not isinstance(every, int) or every < 1:
            raise ValueError(f"every must be a whole number of 1 or more, but it is {every}.")
        self.frequencies = checked_frequencies(frequencies, len(x))
        self.amplitudes = checked_amplitudes(amplitudes, len(self.frequencies))
        self.x, self.every, self.output, self.player = x, every, output, player
        self.file = None if file is None else Path(file)
        waves = sampling_matrix(len(x), self.frequencies, self.amplitudes)
        self._waves = torch.view_as_real(waves).flatten(1).to(x.device)  # (n, 2k): real and imaginary parts by turns
        self._records: list[Tensor] = []
        self._last = 0

    def __call__(self, round: Round) -> None:
        """Record, if it is time to."""
        if round.step != self._last + 1:
            self._begin(round.step)
        self._last = round.step
        if round.step % self.every:
            return
        if not 0 <= self.player < len(round.players):
            raise ValueError(f"player must be from 0 to {len(round.players) - 1} in this fit, but it is {self.player}.")
        model = round.players[self.player].model
        with evaluating(model), torch.no_grad():
            values = one_output(model(self.x), len(self.x), self.output)
        self._records.append(values.double() @ self._waves)
        if self.file is not None:
            write_tensors(self.file, self._setup() | {"records": torch.stack(self._records).cpu()})

    @property
    def steps(self) -> Int[Tensor, " t"]:
        """The step of each record: rounds done."""
        return self.every * torch.arange(1, len(self._records) + 1)

    @property
    def coefficients(self) -> Complex[Tensor, "t k"]:
        """The :math:`c_i` of each record, complex128 on the CPU."""
        if not self._records:
            return torch.zeros(0, len(self.frequencies), dtype=torch.complex128)
        return torch.view_as_complex(torch.stack(self._records).cpu().view(len(self._records), -1, 2))

    @property
    def trace(self) -> Float[Tensor, "t k"]:
        """The normalised amplitudes :math:`2|F(k_i)|/A_i` of each record."""
        return self.coefficients.abs()

    def missing(self, phases: Numbers) -> Float[Tensor, "t k"]:
        r"""The share of each sine that is not learned yet, :math:`|c_i - e^{\mathrm{i}\varphi_i}|`, at each record.

        Args:
            phases: the :math:`\varphi_i` of the target, in radians; one number stands for all.

        Raises:
            ValueError: another number of phases than of frequencies, or one that is not finite.
        """
        angles = checked_phases(phases, len(self.frequencies))
        return (self.coefficients - torch.polar(torch.ones_like(angles), angles)).abs()

    def _begin(self, step: int) -> None:
        """Start anew at ``step``, with the records before it."""
        if self.file is not None and self.file.exists() and step > 1:
            saved = read_tensors(self.file)
            if any(name not in saved or not torch.equal(saved[name], own) for name, own in self._setup().items()):
                raise ValueError(
                    f"file ({self.file}) holds the records of another monitor. Give another, or delete it."
                )
            self._records = list(saved["records"].to(self.x.device))
        known = (step - 1) // self.every
        if len(self._records) < known:
            raise ValueError(
                f"The fit goes on at step {step}, but this monitor has not seen what came before: {len(self._records)} "
                f"records where {known} are needed. Give it a file=... next to the fit's checkpoint, or fit anew."
            )
        self._records = self._records[:known]

    def _setup(self) -> dict[str, Tensor]:
        return {"frequencies": self.frequencies, "amplitudes": self.amplitudes, "every": torch.tensor(self.every)}
