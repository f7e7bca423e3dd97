"""How much of each frequency survives when the parameters of a network are moved at random."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.func import functional_call, vmap

from torchstone.spectral.output import one_output
from torchstone.spectral.signals import Numbers, coefficients
from torchstone.training import evaluating

_NUMBERS_AT_ONCE = 2**24  # parameters of all networks of one chunk


@dataclass(frozen=True, eq=False)
class PerturbationSpectrum:
    """What :func:`perturbation_spectrum` found at each size of the perturbation; float64, on the CPU.

    Shares of a frequency of which there was nothing are not numbers.

    Args:
        deltas: the sizes, (t,).
        unperturbed: amplitude of each frequency before, (k,).
        amplitudes: mean amplitude after, (t, k).
        in_phase: mean part of the amplitude after that has the phase from before, (t, k); may be negative.
        moved: mean distance in the complex plane from before to after, (t, k).
    """

    deltas: Float[Tensor, " t"]
    unperturbed: Float[Tensor, " k"]
    amplitudes: Float[Tensor, "t k"]
    in_phase: Float[Tensor, "t k"]
    moved: Float[Tensor, "t k"]

    @property
    def retained(self) -> Float[Tensor, "t k"]:
        """``amplitudes`` as shares of ``unperturbed``: what the paper shows. Noise counts as retained."""
        return self.amplitudes / self.unperturbed

    @property
    def retained_in_phase(self) -> Float[Tensor, "t k"]:
        """``in_phase`` as shares of ``unperturbed``: noise of random phase averages out."""
        return self.in_phase / self.unperturbed


def perturbation_spectrum(
    model: nn.Module,
    x: Float[Tensor, "n d"],
    frequencies: Numbers,
    deltas: Sequence[float] | Tensor,
    n: int = 100,
    *,
    output: int | None = None,
    seed: int,
) -> PerturbationSpectrum:
    r"""The mean spectrum of a network whose parameters were moved by :math:`\delta` in random directions.

    .. math:: \text{retained}_i(\delta) = \frac{1}{n |c_i|} \sum_{l=1}^{n} |c_i(\theta + \delta u_l)|, \qquad
              \text{in phase: } \frac{1}{n |c_i|^2} \sum_{l=1}^{n} \mathrm{Re}\,\bar c_i\, c_i(\theta + \delta u_l)

    with :math:`u_l` uniform on the unit sphere of *all* parameters together, and :math:`c_i` the :func:`coefficients`,
    those of :math:`\theta` where no argument is written. The same directions serve every size, so that curves over
    :math:`\delta` are smooth.

    A mean of magnitudes is never negative: a frequency that is drowned in noise seems to be retained at the level of
    that noise, which may be above 1. What perturbed networks add is mostly of low frequency, so this flatters low
    frequencies; the part in phase is free of it.

    Networks are evaluated many at once. The model is not touched: it is looked at in evaluation mode, and its
    parameters, modes and gradients are afterwards as they were.

    Args:
        model: the network with its parameters :math:`\theta`.
        x: its inputs, row j at place j/n of the even grid, as for :class:`FrequencyMonitor`.
        frequencies: the :math:`k_i`, as in :class:`SumOfSines`.
        deltas: the sizes :math:`\delta`, in the unit of the parameters, not negative.
        n: number of directions :math:`u_l`.
        output: which entry of the network's flattened output, where there are several.
        seed: seed of the directions; the global generators are not used.

    Returns:
        The sizes, the amplitudes before, and three means after: amplitude, its part in phase, distance moved.

    Raises:
        ValueError: a size that is negative or not finite, none of them, ``n`` below 1, a model without parameters or
            with outputs that are not finite, several outputs and none chosen, frequencies that :func:`coefficients`
            refuses.

    Example:
        >>> from torchstone.spectral import Siren
        >>> x = torch.arange(16)[:, None] / 16
        >>> found = perturbation_spectrum(Siren(1, [8], w0=10.0, seed=0), x, [1, 2], [0.0, 1.0], n=5, seed=0)
        >>> found.retained[0].round(decimals=3)
        tensor([1., 1.], dtype=torch.float64)

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 3, experiment 2, figure 2.
    Differs from the paper: the part in phase and the distance are not in it.
    """
    sizes = torch.as_tensor(deltas, dtype=torch.float64).detach().cpu()
    if sizes.ndim != 1 or not len(sizes) or not bool((sizes.isfinite() & (sizes >= 0)).all()):
        raise ValueError(f"deltas must be a list of sizes, finite and not negative, but it is {sizes.tolist()}.")
    if n < 1:
        raise ValueError(f"n, the number of directions, must be 1 or more, but it is {n}.")
    parameters = {name: parameter.detach() for name, parameter in model.named_parameters()}
    if not parameters:
        raise ValueError("model has no parameters, so there is nothing to perturb.")
    spectrum = _spectrum_of(model, x, frequencies, output)
    with evaluating(model), torch.no_grad():
        before = spectrum(parameters)
        if not bool(before.isfinite().all()):
            raise ValueError("model gives values that are not finite (NaN or Inf): are its weights and x finite?")
        total = torch.zeros(3, len(sizes), len(before), dtype=torch.float64, device=before.device)
        for chunk in _directions(parameters, n, seed):
            for column, size in enumerate(sizes.tolist()):
                moved = {name: theta + size * chunk[name] for name, theta in parameters.items()}
                total[:, column] += _summed(vmap(spectrum)(moved), before)
    return PerturbationSpectrum(sizes, before.abs().cpu(), *(total / n).cpu())


def _summed(after: Complex[Tensor, "n k"], before: Complex[Tensor, " k"]) -> Float[Tensor, "3 k"]:
    """Amplitudes, their parts in phase and distances, each summed over the directions."""
    in_phase = (after * before.conj()).real / before.abs()
    return torch.stack([after.abs().sum(0), in_phase.sum(0), (after - before).abs().sum(0)])


def _spectrum_of(
    model: nn.Module, x: Tensor, frequencies: Numbers, output: int | None
) -> Callable[[Mapping[str, Tensor]], Tensor]:
    """From parameters to the coefficients of the network that has them."""

    def spectrum(parameters: Mapping[str, Tensor]) -> Tensor:
        values = functional_call(model, dict(parameters), (x,))
        return coefficients(one_output(values, len(x), output), frequencies)

    return spectrum


def _directions(parameters: Mapping[str, Tensor], n: int, seed: int) -> Iterator[dict[str, Tensor]]:
    """Directions of unit length over all parameters together, some at a time: each entry (chunk, *shape)."""
    generator = torch.Generator().manual_seed(seed)
    count = sum(parameter.numel() for parameter in parameters.values())
    chunk = max(1, _NUMBERS_AT_ONCE // count)
    for start in range(0, n, chunk):
        rows = [torch.randn(count, generator=generator) for _ in range(min(chunk, n - start))]  # whatever the chunks
        drawn = torch.stack(rows)
        drawn /= drawn.norm(dim=1, keepdim=True)
        parts = torch.split(drawn, [parameter.numel() for parameter in parameters.values()], dim=1)
        yield {
            name: part.reshape(len(part), *parameter.shape).to(parameter)
            for (name, parameter), part in zip(parameters.items(), parts, strict=True)
        }
