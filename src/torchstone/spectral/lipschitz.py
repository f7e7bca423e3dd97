"""How steep a network can be: spectral norms of its layers, upper bounds, and the exact constant on a box."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from torchstone.spectral.function import Box, corners
from torchstone.spectral.regions_2d import relu_regions_2d
from torchstone.spectral.relu_1d import relu_regions_1d

_Norm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d
_STEEPEST_1 = (nn.Identity, nn.Dropout, nn.Flatten, nn.Unflatten, nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Tanh, nn.Softplus)


@dataclass(frozen=True)
class LipschitzBounds:
    r"""Upper bounds on the Lipschitz constant of a network, and the constant itself on a box of one or two inputs.

    Args:
        product: :math:`\prod_k \|W^{(k)}\|_2`.
        parameters: the same with each norm replaced by what the largest parameter and the widths allow.
        exact: the largest slope on the box; ``None`` where none was given.
    """

    product: float
    parameters: float
    exact: float | None


def spectral_norms(model: nn.Module) -> dict[str, float]:
    r"""The largest singular value of the weight of every linear layer, by name.

    .. math:: \|W\|_2 = \max_{|v| = 1} |W v| = \sqrt{\lambda_{\max}(W^\top W)}

    Args:
        model: any module; its ``nn.Linear`` layers are listed, in their order.

    Returns:
        The norms, computed in float64 by a singular value decomposition.

    Raises:
        ValueError: the model has no linear layer, or convolutions (the norm of one depends on the size of its input,
            and that of its reshaped kernel is another number), or weights that are not finite.

    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 2)).requires_grad_(False)
    >>> _ = net[0].weight.copy_(torch.tensor([[0.0, 3.0], [0.0, 0.0]]))  # all eigenvalues are 0
    >>> spectral_norms(net)
    {'0': 3.0}

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 3 and figure 1.
    Differs from the paper: the paper's released code iterates W, not its transpose times W, and returns n times a
        Rayleigh quotient; its curves of norms are not comparable.
    """
    convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.modules.conv._ConvNd)]
    if convolutions:
        raise ValueError(
            f"model has a convolution, '{convolutions[0]}': the norm of that operator depends on the size of its "
            "input, and the norm of its kernel is not it. Ask about the part of the network with linear layers only."
        )
    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if not linear:
        raise ValueError("model has no nn.Linear layer, so there is no spectral norm to compute.")
    return {name: _norm(layer, name) for name, layer in linear.items()}


def lipschitz_bounds(model: nn.Module, box: Box | None = None, *, output: int | None = None) -> LipschitzBounds:
    r"""Bounds on how steep a chain of layers can be, loose to tight.

    .. math::
        L_f = \max_e \|W_e\| \le \prod_{k=1}^{L+1} \|W^{(k)}\|_2
        \le \|\theta\|_\infty^{L+1} \sqrt{d} \, \Big( \prod_{k=1}^{L} d_k \Big) \sqrt{c}

    with d inputs, hidden widths :math:`d_k`, c outputs (1 in the paper), and :math:`\|\theta\|_\infty` the largest
    entry of a weight matrix. Leaky slopes beyond 1 and batch normalisation (running statistics) multiply both bounds.

    Args:
        model: an ``nn.Sequential``, nested or not, of ``nn.Linear``, activations of slope at most 1, LeakyReLU, dropout
            and batch normalisation.
        box: where to find the exact constant of a piecewise linear network of 1 or 2 inputs: (a, b), or two corners.
        output: which output ``exact`` is about, where there are several.

    Returns:
        The bounds, in units of output over units of input (Euclidean).

    Raises:
        ValueError: the model is no such chain; the box has neither 1 nor 2 dimensions; weights are not finite.
        NotPiecewiseLinearError: a box was given, and the model is not piecewise linear.

    >>> net = torch.nn.Sequential(torch.nn.Linear(1, 1), torch.nn.ReLU(), torch.nn.Linear(1, 1)).requires_grad_(False)
    >>> for p, value in zip(net.parameters(), (2.0, 1.0, -3.0, 0.0)):
    ...     _ = p.fill_(value)
    >>> lipschitz_bounds(net, (-1, 1))
    LipschitzBounds(product=6.0, parameters=9.0, exact=6.0)

    Paper: Rahaman et al. 2019, arXiv:1806.08734, section 2 (the bounds on L_f).
    Differs from the paper: several outputs; batch normalisation and leaky slopes.
    """
    product = parameters = 1.0
    layers = list(_chain(model))
    if not any(isinstance(layer, nn.Linear) for _, layer in layers):
        raise ValueError("model has no nn.Linear layer, so there is nothing to bound.")
    largest = max(float(layer.weight.detach().abs().max()) for _, layer in layers if isinstance(layer, nn.Linear))
    for name, layer in layers:
        if isinstance(layer, nn.Linear):
            product *= _norm(layer, name)
            parameters *= largest * math.sqrt(layer.in_features * layer.out_features)
        else:
            steepest = _steepest(layer, name)
            product, parameters = product * steepest, parameters * steepest
    return LipschitzBounds(product, parameters, None if box is None else _exact(model, box, output))


def _exact(model: nn.Module, box: Box, output: int | None) -> float:
    size = corners(box)[0].numel()
    if size == 1:
        return relu_regions_1d(model, box, output=output).lipschitz
    if size == 2:
        return relu_regions_2d(model, box, output=output).lipschitz
    raise ValueError(f"box has {size} dimensions: the exact constant is computed for 1 or 2 inputs. Leave it out.")


def _norm(layer: nn.Linear, name: str) -> float:
    weight = layer.weight.detach().double()
    if not weight.isfinite().all():
        raise ValueError(f"The weights of layer '{name}' are not finite (NaN or Inf).")
    return float(torch.linalg.matrix_norm(weight, 2))


def _chain(model: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The layers of nested Sequentials with their names, in order."""
    if not isinstance(model, nn.Sequential):
        yield name, model
        return
    for child, module in model.named_children():
        yield from _chain(module, f"{name}.{child}" if name else child)


def _steepest(layer: nn.Module, name: str) -> float:
    """The Lipschitz constant of a layer that is not linear."""
    if isinstance(layer, _STEEPEST_1):
        return 1.0
    if isinstance(layer, nn.LeakyReLU):
        return max(1.0, abs(layer.negative_slope))
    if isinstance(layer, _Norm) and isinstance(layer.running_var, Tensor):
        scale = (layer.running_var.detach().double() + layer.eps).rsqrt()
        return float((scale * (1.0 if layer.weight is None else layer.weight.detach().double())).abs().max())
    raise ValueError(
        f"Layer '{name}' is a {type(layer).__name__}: the product bound is for an nn.Sequential of nn.Linear, "
        "activations of slope at most 1, LeakyReLU, dropout and batch normalisation with running statistics."
    )
