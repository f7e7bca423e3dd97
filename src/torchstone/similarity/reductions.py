"""From a layer's output to an (n, d) matrix of examples and features: the choice is always the caller's."""

from collections.abc import Callable
from difflib import get_close_matches
from typing import TypeAlias

from torch import Tensor

Reduce: TypeAlias = str | int | Callable[[Tensor], Tensor]


def reduction(reduce: Reduce) -> Callable[[Tensor], Tensor]:
    """The function that turns a layer's output into an (n, d) matrix.

    ========================  =====================================  =================================  ================
    ``reduce``                map (n, c, h, w), or any (n, c, ...)   tokens (n, t, d)                   vector (n, d)
    ========================  =====================================  =================================  ================
    ``"flatten"`` (paper)     n × (c h w)                            n × (t d)                          as it is
    ``"mean"``                n × c, mean over positions             n × d, mean over tokens            as it is
    ``"gap"``                 n × c, mean over positions             n × t: channels come first         as it is
    ``"cls"`` or an integer   an error                               n × d, the token of that index     as it is
    ``"tokens"``              an error                               (n t) × d, a token is an example   an error
    ``"spatial"``             (n h w) × c, a pixel is an example     (n d) × t: channels come first     an error
    a callable                what it returns, if that is a matrix   likewise                           likewise
    ========================  =====================================  =================================  ================

    A three-dimensional output may be tokens (n, t, d) or the map of a one-dimensional convolution (n, c, l): nothing in
    the tensor tells them apart, so ``mean``, ``cls`` and ``tokens`` read it as tokens, ``gap`` and ``spatial`` as a
    map.

    Under ``"tokens"`` padding counts as examples too. A callable leaves it out by the mask (n, t) of the present batch,
    here of the ``batch`` that the generator given as ``loader`` yielded last:
    ``reduce=lambda tokens: tokens[batch["mask"]]``. Several models then need the same tokens in the same order.

    Raises:
        ValueError: the name is none of these.
        TypeError: ``reduce`` is no string, integer or callable.
    """
    if isinstance(reduce, bool) or not (isinstance(reduce, str | int) or callable(reduce)):
        raise TypeError(f"`reduce` must be a name, the index of a token or a callable, got {reduce!r}.")
    if isinstance(reduce, int):
        return lambda output: _token(output, reduce)
    if callable(reduce):
        return reduce
    if reduce not in _NAMED:
        close = get_close_matches(reduce, _NAMED, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"`reduce` must be one of {', '.join(_NAMED)}, or a callable; got {reduce!r}.{hint}")
    return _NAMED[reduce]


def keeps_examples(reduce: Reduce) -> bool:
    """Whether a row of the result is an example of the batch (not a token, a pixel or a callable's own affair)."""
    return isinstance(reduce, int) or (isinstance(reduce, str) and reduce not in ("tokens", "spatial"))


def _flatten(output: Tensor) -> Tensor:
    return output.flatten(1) if output.ndim > 1 else output[:, None]


def _mean(output: Tensor) -> Tensor:
    return output.mean(dim=1) if output.ndim == 3 else _gap(output)


def _gap(output: Tensor) -> Tensor:
    return output.flatten(2).mean(dim=2) if output.ndim > 2 else _flatten(output)


def _token(output: Tensor, index: int) -> Tensor:
    if output.ndim <= 2:
        return _flatten(output)
    if output.ndim > 3:
        raise ValueError("is a map, which has no tokens to pick one from; use reduce='flatten', 'mean' or 'spatial'")
    if not -output.shape[1] <= index < output.shape[1]:
        raise ValueError(f"has {output.shape[1]} tokens, so there is no token {index}")
    return output[:, index]


def _tokens(output: Tensor) -> Tensor:
    if output.ndim != 3:
        raise ValueError("is no (n, t, d) tensor of tokens; use reduce='flatten', or name layers that give tokens")
    return output.flatten(0, 1)


def _spatial(output: Tensor) -> Tensor:
    if output.ndim < 3:
        raise ValueError("has no positions; use reduce='flatten' or 'gap', or name layers that give maps")
    return output.movedim(1, -1).flatten(0, -2)


_NAMED: dict[str, Callable[[Tensor], Tensor]] = {
    "flatten": _flatten,
    "mean": _mean,
    "gap": _gap,
    "cls": lambda output: _token(output, 0),
    "tokens": _tokens,
    "spatial": _spatial,
}
