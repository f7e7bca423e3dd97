"""Which entries of a parameter feed one output unit, and which parameters have such entries at all."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

import torch
from jaxtyping import Inexact
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

Chosen = Iterable[str | Tensor]
"""Parameters, by themselves or by shell patterns of their names, such as ``"encoder.*"``."""

EMBEDDINGS = (nn.Embedding, nn.EmbeddingBag)
NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
)


@dataclass(frozen=True)
class FanIn:
    """The weights into one output unit: the entries along ``dims``, after dim 0 is split into ``groups`` if above 1."""

    dims: tuple[int, ...]
    groups: int = 1

    def view(self, tensor: Tensor) -> Tensor:
        """The tensor as ``dims`` count it, sharing memory."""
        return tensor.view(self.groups, -1, *tensor.shape[1:]) if self.groups > 1 else tensor

    def sum(self, tensor: Inexact[Tensor, "..."]) -> Inexact[Tensor, "..."]:
        """The sum over each unit's weights, to be broadcast against :meth:`view`; of half precision in float32."""
        wide = torch.float32 if tensor.dtype in (torch.float16, torch.bfloat16) else None
        return self.view(tensor).sum(self.dims, keepdim=True, dtype=wide)

    def subtract_mean(self, tensor: Inexact[Tensor, "..."], total: Inexact[Tensor, "..."]) -> None:
        """Take from each of a unit's weights, in place, its share of the unit's ``total``, as :meth:`sum` gives it."""
        self.view(tensor).sub_(total, alpha=total.numel() / tensor.numel())

    def count(self, tensor: Tensor) -> int:
        """How many weights feed one unit."""
        view = self.view(tensor)
        return int(torch.Size(view.shape[dim] for dim in self.dims).numel())


class Owned(NamedTuple):
    """A parameter with its name and the modules that hold it; none of either where they are not known."""

    parameter: Tensor
    name: str
    modules: tuple[nn.Module, ...]


def fan_ins(
    parameters: Sequence[Owned], *, conv_only: bool, include: Chosen | None, exclude: Chosen | None
) -> dict[int, FanIn]:
    """The fan-in of each parameter to be centred, by the parameter's ``id``; warns of those with a fan-in of 1."""
    forced, banned = (
        _matching(parameters, chosen, name) for chosen, name in ((include, "include"), (exclude, "exclude"))
    )
    found: dict[int, FanIn] = {}
    lonely = []
    for owned in parameters:
        key = id(owned.parameter)
        if key in banned or not owned.parameter.numel() or not (key in forced or _by_rule(owned, conv_only)):
            continue
        fan_in = _fan_in(owned)
        if fan_in.count(owned.parameter) == 1:
            lonely.append(_described(owned))
            continue
        _refuse_split_units(owned, fan_in)
        found[key] = fan_in
    if lonely:
        warnings.warn(
            f"Not centred, since one weight feeds each unit and the gradient would become 0: {', '.join(lonely)}.",
            UserWarning,
            stacklevel=4,
        )
    return found


def owned_parameters(optimizer: torch.optim.Optimizer, model: nn.Module | None) -> list[Owned]:
    """The optimizer's parameters, with what ``model`` (or else the optimizer) knows of them."""
    owners = _owners(model) if model is not None else {}
    listed = []
    for group in optimizer.param_groups:
        names = group.get("param_names") or [""] * len(group["params"])
        for own_name, parameter in zip(names, group["params"], strict=True):
            known = owners.get(id(parameter), [])
            name = known[0][0] if known else own_name
            listed.append(Owned(parameter, name, tuple(module for _, module in known)))
    strangers = [_described(owned) for owned in listed if not owned.modules]
    if model is not None and strangers:
        raise ValueError(
            f"`model` must hold every parameter of the optimizer, but {', '.join(strangers)} is not in it. Give the "
            "model that the optimizer trains, or none, so that parameters are judged by their shapes."
        )
    return listed


def _owners(model: nn.Module) -> dict[int, list[tuple[str, nn.Module]]]:
    """Each parameter's names and the layers that hold it, the one that it parametrises included."""
    owners: dict[int, list[tuple[str, nn.Module]]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        holder = f".{name}".rpartition(".")[0].partition(".parametrizations")[0]
        owners.setdefault(id(parameter), []).append((name, model.get_submodule(holder.removeprefix("."))))
    return owners


def _by_rule(owned: Owned, conv_only: bool) -> bool:
    """Whether the rule centres it: a weight of two or more dimensions (``conv_only``: of a convolution)."""
    parameter, name, modules = owned
    if parameter.ndim < 2:
        return False
    if not modules:
        return parameter.ndim > 3 if conv_only else True
    if any(isinstance(module, (*EMBEDDINGS, *NORMS)) for module in modules) or "bias" in name.rpartition(".")[2]:
        return False
    if conv_only:
        return any(isinstance(module, _ConvNd) for module in modules)
    return parameter.shape[0] > 1 or any(_is_layer(module) for module in modules)


def _is_layer(module: nn.Module) -> bool:
    """Whether torch fixes that dim 0 of its weight counts units: a first dimension of 1 may else be a token's."""
    return isinstance(module, (nn.Linear, nn.Bilinear, _ConvNd, nn.RNNBase, nn.RNNCellBase, nn.MultiheadAttention))


def _fan_in(owned: Owned) -> FanIn:
    parameter = owned.parameter
    if parameter.ndim < 2:
        raise ValueError(
            f"`include` names {_described(owned)}, which has {parameter.ndim} dimension(s). Only weights of at least "
            "two dimensions, units and what feeds them, can be centred."
        )
    for module in owned.modules:
        if isinstance(module, _ConvTransposeNd):
            return _transposed(parameter.ndim, module.groups)
    return FanIn(tuple(range(1, parameter.ndim)))


def _transposed(ndim: int, groups: int) -> FanIn:
    """Of a transposed convolution's weight (in, out / groups, ...): all but the outputs, within each group."""
    if groups == 1:
        return FanIn((0, *range(2, ndim)))
    return FanIn((1, *range(3, ndim + 1)), groups)


def _refuse_split_units(owned: Owned, fan_in: FanIn) -> None:
    """A DTensor may be sharded between units, never within one."""
    for placement in getattr(owned.parameter, "placements", ()):
        dim = getattr(placement, "dim", None)
        within = dim in fan_in.dims or (dim == 0 and fan_in.groups > 1)
        if placement.is_partial() or (placement.is_shard() and within):
            raise ValueError(
                f"The parameter {_described(owned)} is a DTensor placed as {placement}, which splits the weights of "
                "one unit between processes: none of them knows the mean. Shard it along its output units (dim 0 of "
                "linear layers and convolutions, as fully_shard does), or exclude it."
            )


def _matching(parameters: Sequence[Owned], chosen: Chosen | None, argument: str) -> set[int]:
    """The ids of the parameters that ``chosen`` names; each of its entries must name one."""
    if isinstance(chosen, str | Tensor):
        raise TypeError(f"`{argument}` must be a list of parameters or names, but is a single one. Write [it].")
    ids = set()
    for entry in chosen or ():
        if not isinstance(entry, str | Tensor):
            raise TypeError(f"`{argument}` must list parameters or names, but has a {type(entry).__name__}.")
        hits = {id(owned.parameter) for owned in parameters if _matches(owned, entry)}
        if not hits:
            what = repr(entry) if isinstance(entry, str) else f"a tensor of shape {tuple(entry.shape)}"
            raise ValueError(
                f"`{argument}` has {what}, which is no parameter of the optimizer. Names are those of "
                "model.named_parameters(), and are known where the model is given."
            )
        ids |= hits
    return ids


def _matches(owned: Owned, entry: str | Tensor) -> bool:
    return fnmatchcase(owned.name, entry) if isinstance(entry, str) else owned.parameter is entry


def _described(owned: Owned) -> str:
    shape = tuple(owned.parameter.shape)
    return f"'{owned.name}' {shape}" if owned.name else f"one of shape {shape}"
