"""RotNet: tell by which multiple of 90° an image was turned."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from torchstone.data import Augment
from torchstone.selfsup.features import encode
from torchstone.selfsup.inputs import Images
from torchstone.selfsup.pretext import Pretext
from torchstone.selfsup.recipe import Recipe
from torchstone.selfsup.rotation import TURNS, Rotation90
from torchstone.training import evaluating


class RotNet(Pretext):
    r"""Classify turned images by their turn.

    .. math:: \min_{E, D}\; \mathbb{E}_{x, k}\; \mathrm{CE}(D(E(\mathrm{rot}_{90 k}(x))),\; k),
              \qquad k \in \{0, 1, 2, 3\}

    Args:
        encoder: :math:`E`, from square images to rows or maps (these are flattened). It is copied, not changed.
        turns: how many different turns of each image are in a step, 1 to 4. The network then sees
            ``turns * recipe.batch_size`` images a step, where that of AET sees ``2 * recipe.batch_size``.
        recipe: optimizer, batch size, schedule.
        augment: a random change of each batch before it is turned.

    Raises:
        ValueError: from ``fit``: ``turns`` is not 1 to 4, or the images are not square.

    >>> from torchstone.nets import NIN
    >>> x = torch.rand(16, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    >>> net = RotNet(NIN(6, channels=1, seed=0), recipe=Recipe(batch_size=8)).fit(x, steps=2)
    >>> 0 <= net.transformation_error(x) <= 1
    True

    Paper: Gidaris, Singh, Komodakis 2018, arXiv:1803.07728, equations 1 and 2.
    Differs from the paper: the recipe is :class:`Recipe`'s, so that methods can be compared.
    """

    def __init__(
        self,
        encoder: nn.Module,
        *,
        turns: int = TURNS,
        recipe: Recipe = Recipe(),  # noqa: B008  # frozen
        augment: Augment | None = None,
    ) -> None:
        self.encoder = encoder
        self.turns = turns
        self.recipe = recipe
        self.augment = augment

    def transformation_error(self, images: Images, *, batch_size: int = 256) -> float:
        """The share of wrong answers over all four turns of each image; chance gives 0.75."""
        wrong = total = 0
        for x in self._batches(images, batch_size):
            k = torch.arange(TURNS).repeat_interleave(len(x))
            with evaluating(self.encoder_), evaluating(self.head_), torch.no_grad():
                logits = self.head_(encode(self.encoder_, Rotation90().apply(x.repeat(TURNS, 1, 1, 1), k)))
            wrong += int((logits.argmax(1).cpu() != k).sum())
            total += len(k)
        return wrong / total

    def _head(self, d: int, shape: tuple[int, int, int]) -> nn.Module:
        if not 1 <= self.turns <= TURNS:
            raise ValueError(f"`turns` must lie between 1 and {TURNS}, but is {self.turns}.")
        return nn.Linear(d, TURNS)

    def _metrics(
        self, encoder: nn.Module, head: nn.Module, x: Float[Tensor, "b c h w"], draws: torch.Generator
    ) -> dict[str, Tensor]:
        k = self._drawn(len(x), draws)
        logits = head(encode(encoder, Rotation90().apply(x.repeat(self.turns, 1, 1, 1), k)))
        k = k.to(x.device)
        return {"loss": cross_entropy(logits, k), "error": (logits.argmax(1) != k).float().mean()}

    def _drawn(self, b: int, draws: torch.Generator) -> Int64[Tensor, " m"]:
        """``turns`` different turns for each of b images: the first of all images, then the second of all, ..."""
        order = torch.rand(b, TURNS, generator=draws).argsort(1)
        return order[:, : self.turns].T.flatten()
