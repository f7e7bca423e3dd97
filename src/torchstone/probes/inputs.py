"""What a probe takes: features in rows and a class for each of them, checked; one problem, or many of one size."""

import warnings

import torch
from torch import Tensor


class ProbeWarning(UserWarning):
    """A probe whose numbers are less than they seem: it has not converged, or some features have no direction."""


def warn(message: str) -> None:
    """Issue a :class:`ProbeWarning`."""
    warnings.warn(message, ProbeWarning, stacklevel=4)


def check_features(x: Tensor, name: str) -> None:
    """Refuse what is not a dense tensor of real numbers, (n, d) or (e, n, d); :func:`check_finite` looks at them."""
    if not isinstance(x, Tensor):
        raise TypeError(
            f"`{name}` is a {type(x).__name__}: a torch tensor is needed, for example torch.as_tensor(...)."
        )
    if x.layout != torch.strided or x.dtype == torch.bool or x.is_complex():
        raise TypeError(f"`{name}` is a {x.layout} tensor of {x.dtype}: a dense one of real numbers is needed.")
    if x.ndim not in (2, 3) or not x.numel():
        raise ValueError(
            f"`{name}` has shape {tuple(x.shape)}: features are (n, d), one example a row, or (e, n, d) for e problems "
            f"at once, and none of these is 0. Flatten maps first, for example {name}.flatten(1)."
        )


def check_finite(values: Tensor, name: str) -> None:
    """Refuse NaN and infinite values; sums will do, since they are finite only if all summands are."""
    if not values.isfinite().all():
        raise ValueError(f"`{name}` has NaN or infinite values: clean them, or find the layer that makes them.")


def check_like(x: Tensor, name: str, shape: torch.Size, what: str) -> None:
    """Refuse what has not the features of ``shape``, (n, d) or (e, n, d), or is for another number of problems."""
    if x.shape[-1] != shape[-1] or (x.ndim == 3 and x.shape[:-2] != shape[:-2]):
        raise ValueError(
            f"`{name}` has shape {tuple(x.shape)}, but {what} {tuple(shape)}: as many features are needed, and as many "
            f"problems, or an (m, d) `{name}` for all of them."
        )


def check_labels(y: Tensor, shape: torch.Size, classes: int | None, name: str = "y") -> int:
    """The number of classes c, after refusing labels that aren't integers of ``shape`` from 0 to c - 1."""
    if not isinstance(y, Tensor):
        raise TypeError(f"`{name}` is a {type(y).__name__}: a tensor of class numbers is needed.")
    if y.is_floating_point() or y.is_complex() or y.dtype == torch.bool:
        raise TypeError(f"`{name}` has dtype {y.dtype}: class numbers are integers from 0. Convert it: {name}.long().")
    if y.shape != shape:
        raise ValueError(f"`{name}` has shape {tuple(y.shape)}, but must have one label a row: {tuple(shape)}.")
    lowest, highest = int(y.min()), int(y.max())
    c = highest + 1 if classes is None else classes
    if lowest < 0 or highest >= c:
        raise ValueError(f"`{name}` has labels from {lowest} to {highest}, but they must lie between 0 and {c - 1}.")
    return c


def check_devices(*named: tuple[str, Tensor | None]) -> None:
    """Refuse what is not a tensor, and tensors on different devices."""
    given = {name: tensor for name, tensor in named if tensor is not None}
    for name, tensor in given.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"`{name}` is a {type(tensor).__name__}: a torch tensor is needed.")
    places = {name: str(tensor.device) for name, tensor in given.items()}
    if len(set(places.values())) > 1:
        where = ", ".join(f"`{name}` on {device}" for name, device in places.items())
        raise ValueError(f"All tensors must be on one device, but there are {where}.")


def examples_by_class(y: Tensor, c: int, weight: Tensor | None = None) -> Tensor:
    """How many examples each class has, (e, c), by weight; ``y`` is (e, n)."""
    ones = torch.ones_like(y, dtype=torch.float64) if weight is None else weight.double()
    return torch.zeros(len(y), c, dtype=torch.float64, device=y.device).scatter_add_(1, y.long(), ones)


def check_all_classes(counts: Tensor) -> None:
    """Refuse problems that lack examples of a class; ``counts`` is (e, c)."""
    lacking = (counts <= 0).nonzero()
    if len(lacking):
        problem, label = lacking[0].tolist()
        raise ValueError(
            f"Class {label} has no example in problem {problem} (of {len(counts)}), and {len(lacking) - 1} other pairs "
            f"of class and problem lack theirs. Every problem needs all classes from 0 to {counts.shape[1] - 1}."
        )


def delivered(dtype: torch.dtype) -> torch.dtype:
    """The dtype of results: float64 for float64 input, float32 for any other."""
    return torch.float64 if dtype == torch.float64 else torch.float32
