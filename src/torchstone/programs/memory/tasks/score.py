"""How well a sequence was predicted."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from torchstone.programs.memory.inputs import check_finite
from torchstone.programs.memory.tasks.task import SequenceBatch


class Score(NamedTuple):
    """Of each sequence: whether all was right, and the share that was right before the first error."""

    coarse: Float[Tensor, " b"]
    fine: Float[Tensor, " b"]


def score(logits: Float[Tensor, "b t words"], batch: SequenceBatch) -> Score:
    r"""Whole sequences that are right, and how far the others come.

    Only steps that count are looked at. The inputs are the right words throughout; a network that goes on from its own
    guesses scores the same, since up to its first error the two are equal, and nothing after that counts.

    Args:
        logits: (b, t, words), a guess at each step is the word of the largest.
        batch: what the logits were made from.

    Returns:
        ``coarse`` and ``fine``, (b,); their means are the numbers of the paper.

    Raises:
        ValueError: shapes that don't fit, logits that are not finite, or a sequence of which no step counts.

    >>> import torch
    >>> ones = torch.ones(1, 4, dtype=torch.bool)
    >>> batch = SequenceBatch(torch.zeros(1, 4).long(), torch.tensor([[0, 1, 2, 3]]), ones, ones)
    >>> guesses = torch.eye(5)[torch.tensor([[0, 1, 4, 3]])]
    >>> score(guesses, batch)
    Score(coarse=tensor([0.]), fine=tensor([0.5000]))

    Paper: Grefenstette, Hermann, Suleyman, Blunsom 2015, arXiv:1506.02516, section 4.3.
    Differs from the paper: nothing.
    """
    check_logits(logits, batch)
    right = (logits.argmax(-1) == batch.targets) | ~batch.scored
    before_error = right.long().cumprod(1) * batch.scored
    return Score(right.all(1).to(logits.dtype), before_error.sum(1).to(logits.dtype) / batch.scored.sum(1))


def sequence_loss(logits: Float[Tensor, "b t words"], batch: SequenceBatch) -> Float[Tensor, ""]:
    """Cross-entropy of the right words, the mean over all steps that count.

    Args:
        logits: (b, t, words).
        batch: what the logits were made from.

    Returns:
        A 0-d tensor, in nats; NaN if no step counts.

    Raises:
        ValueError: shapes that don't fit.
    """
    check_shape(logits, batch)
    return cross_entropy(logits[batch.scored], batch.targets[batch.scored])


def check_logits(logits: Tensor, batch: SequenceBatch) -> None:
    """Refuse logits of another batch, and what can't be scored."""
    check_shape(logits, batch)
    check_finite("logits", logits)
    if not batch.scored.any(1).all():
        raise ValueError("`batch` has a sequence of which no step counts: it can be neither right nor wrong.")


def check_shape(logits: Tensor, batch: SequenceBatch) -> None:
    """Refuse logits of another batch."""
    if logits.ndim != 3 or logits.shape[:2] != batch.targets.shape:
        raise ValueError(
            f"`logits` must be (b, t, words) with (b, t) = {tuple(batch.targets.shape)} of the batch, but has shape "
            f"{tuple(logits.shape)}."
        )
