"""Losses with weights for each class: one softmax over cosines, and what each method does to the true class's."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from torchstone.metric.inputs import check_embeddings, check_labels, check_number, check_range
from torchstone.metric.pairs import unit

EDGE = 1e-6  # how near to ±1 a cosine may come before its angle is taken


class ClassSoftmax(nn.Module):
    r"""Softmax over the cosines with a weight vector for each class, with a margin for the true one.

    .. math:: L = -\log \frac{e^{s f(\cos\theta_y)}}{e^{s f(\cos\theta_y)} + \sum_{k \ne y} e^{s \cos\theta_k}}, \qquad
              f(\cos\theta) = \cos(\theta + a) - m

    The normalised softmax has :math:`m = a = 0` and scale :math:`s = 1/T`; CosFace has a margin :math:`m` on the
    cosine, ArcFace :math:`a` on the angle. ProxyNCA as Musgrave et al. ran it, with its own proxy in the denominator,
    is :math:`s = 2 s'` without a margin, because :math:`-s' D^2 = 2 s' \cos\theta - 2 s'`. Averaged over the batch.

    Args:
        classes: number of classes c.
        dim: features d of the embeddings.
        scale: :math:`s`, above 0.
        margin: :math:`m`, at least 0.
        angle: :math:`a` in degrees, 0 to 90. Where :math:`\theta + a` exceeds 180°, :math:`f` goes on as
            :math:`\cos\theta - a \sin a`, which falls with θ too.
        seed: seed of the weights, (c, d), standard normal.

    Raises:
        ValueError: a number is not in its range, or a label is not in 0 ... c - 1.

    Example:
        >>> loss = ClassSoftmax(classes=2, dim=3, scale=4.0, seed=0)
        >>> loss(torch.eye(3), torch.tensor([0, 1, 0])).isfinite()
        tensor(True)

    Paper: Zhai, Wu 2019, arXiv:1811.12649 (normalised softmax); Wang et al. 2018, arXiv:1801.09414, equation 4
        (CosFace); Deng et al. 2019, arXiv:1801.07698, equation 3 (ArcFace); Movshovitz-Attias et al. 2017,
        arXiv:1703.07464 (ProxyNCA).
    Differs from the paper: ProxyNCA keeps the own proxy in the denominator, as in Musgrave et al. 2020.
    """

    def __init__(
        self, classes: int, dim: int, *, scale: float, margin: float = 0.0, angle: float = 0.0, seed: int
    ) -> None:
        super().__init__()
        check_number("scale", scale, 0, open_end=True)
        check_number("margin", margin, 0)
        if not 0 <= angle <= 90:
            raise ValueError(f"`angle` must lie between 0 and 90 degrees, but is {angle}.")
        self.scale, self.margin, self.angle = scale, margin, math.radians(angle)
        self.weight = nn.Parameter(torch.randn(classes, dim, generator=torch.Generator().manual_seed(seed)))

    def forward(self, embeddings: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The loss of a batch."""
        x, true = _checked(embeddings, labels, self.weight, len(self.weight))
        cosines = unit(x) @ unit(self.weight.to(x)).T  # (b, c)
        return cross_entropy(self.scale * torch.where(true, self._with_margin(cosines), cosines), labels.long())

    def _with_margin(self, cosines: Tensor) -> Tensor:
        if self.angle == 0:
            return cosines - self.margin
        theta = cosines.clamp(-1 + EDGE, 1 - EDGE).acos()
        beyond = cosines - self.angle * math.sin(self.angle)
        return torch.where(theta <= math.pi - self.angle, (theta + self.angle).cos(), beyond) - self.margin


class SoftTriple(nn.Module):
    r"""Softmax over classes that have several centres each.

    .. math:: S_c = \sum_k \frac{e^{\gamma x^\top w_{ck}}}{\sum_j e^{\gamma x^\top w_{cj}}} x^\top w_{ck}, \qquad
              L = -\log \frac{e^{\lambda (S_y - m)}}{e^{\lambda (S_y - m)} + \sum_{c \ne y} e^{\lambda S_c}}
              + \tau \frac{\sum_c \sum_{s < t} \|w_{cs} - w_{ct}\|}{C K (K - 1)}

    Args:
        classes: number of classes :math:`C`.
        dim: features d of the embeddings.
        scale: :math:`\lambda`, above 0.
        gamma: :math:`\gamma`, above 0; the paper writes :math:`1/\gamma` for it.
        margin: :math:`m`, at least 0.
        regularization: :math:`\tau`, at least 0; it draws the centres of a class together.
        centers: :math:`K`, centres of each class.
        seed: seed of the centres, (C, K, d), standard normal, used at length 1.

    Raises:
        ValueError: a number is not in its range, or a label is not in 0 ... C - 1.

    Example:
        >>> loss = SoftTriple(classes=2, dim=3, seed=0)
        >>> loss(torch.eye(3), torch.tensor([0, 1, 0])).isfinite()
        tensor(True)

    Paper: Qian et al. 2019, arXiv:1909.05235, equations 6 and 9.
    Differs from the paper: :math:`\gamma` is the inverse of the paper's; centres start from a normal distribution.
    """

    def __init__(
        self,
        classes: int,
        dim: int,
        *,
        scale: float = 20.0,
        gamma: float = 10.0,
        margin: float = 0.01,
        regularization: float = 0.0,
        centers: int = 10,
        seed: int,
    ) -> None:
        super().__init__()
        check_number("scale", scale, 0, open_end=True)
        check_number("gamma", gamma, 0, open_end=True)
        check_number("margin", margin, 0)
        check_number("regularization", regularization, 0)
        check_number("centers", centers, 1)
        self.scale, self.gamma, self.margin, self.regularization = scale, gamma, margin, regularization
        self.weight = nn.Parameter(torch.randn(classes, centers, dim, generator=torch.Generator().manual_seed(seed)))

    def forward(self, embeddings: Float[Tensor, "b d"], labels: Int[Tensor, " b"]) -> Float[Tensor, ""]:
        """The loss of a batch."""
        x, true = _checked(embeddings, labels, self.weight, len(self.weight))
        centers = unit(self.weight.flatten(0, 1).to(x)).view_as(self.weight)
        similarities = torch.einsum("bd,ckd->bck", unit(x), centers)
        relaxed = ((self.gamma * similarities).softmax(2) * similarities).sum(2)  # (b, c)
        loss = cross_entropy(self.scale * (relaxed - self.margin * true), labels.long())
        return loss + self.regularization * _spread(centers) if self.regularization else loss


def _checked(embeddings: Tensor, labels: Tensor, weight: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Embeddings in float32 or float64, and whether a class is the true one, (b, c)."""
    check_embeddings(embeddings)
    check_labels(labels, embeddings)
    check_range(labels, classes, "The loss")
    if embeddings.shape[1] != weight.shape[-1]:
        raise ValueError(
            f"`embeddings` must have the {weight.shape[-1]} features that the loss was made for (its `dim`), but have "
            f"shape {tuple(embeddings.shape)}."
        )
    x = embeddings if embeddings.dtype == torch.float64 else embeddings.float()
    return x, one_hot(labels.long(), classes).bool()


def _spread(centers: Float[Tensor, "c k d"]) -> Float[Tensor, ""]:
    """The mean distance of two centres of a class, halved."""
    classes, k, _ = centers.shape
    if k == 1:
        return 0 * centers.sum()
    first, second = torch.triu_indices(k, k, offset=1, device=centers.device)
    squares = (centers[:, first] - centers[:, second]).square().sum(2)
    apart = squares > 0
    return torch.where(apart, torch.where(apart, squares, 1).sqrt(), 0).sum() / (classes * k * (k - 1))
