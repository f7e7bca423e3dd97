"""How far a predicted transformation is from the true one: by its numbers, its matrix, or what it does to images."""

from jaxtyping import Float
from torch import Tensor


def parameter_loss(y: Float[Tensor, "b p"], y_hat: Float[Tensor, "b p"]) -> Float[Tensor, ""]:
    r"""Mean squared error of normalised parameters: :math:`\frac{1}{b p} \|y - \hat y\|^2`.

    Args:
        y: the targets (b, p).
        y_hat: the predictions (b, p).

    Returns:
        A 0-d tensor, the mean over the batch.

    Raises:
        ValueError: the shapes differ.

    >>> import torch
    >>> parameter_loss(torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]]))
    tensor(2.)

    Paper: Zhang, Qi, Wang, Luo 2019, arXiv:1901.04596, the released code.
    Differs from the paper: its text has :func:`matrix_loss`.
    """
    return _squares(y, y_hat).mean()


def matrix_loss(m: Float[Tensor, "b 3 3"], m_hat: Float[Tensor, "b 3 3"]) -> Float[Tensor, ""]:
    r"""The paper's loss of parametric transformations: :math:`\ell = \frac12 \|M(\theta) - M(\hat\theta)\|_F^2`.

    Args:
        m: :math:`M(\theta)`, (b, 3, 3).
        m_hat: :math:`M(\hat\theta)`, (b, 3, 3).

    Returns:
        A 0-d tensor, the mean over the batch.

    Raises:
        ValueError: the shapes differ.

    >>> import torch
    >>> matrix_loss(torch.eye(3)[None], 3 * torch.eye(3)[None])
    tensor(6.)

    Paper: Zhang, Qi, Wang, Luo 2019, arXiv:1901.04596, section 3.2.
    Differs from the paper: it leaves the units of the matrices open; ours act on fractions of the image's sides.
    """
    return _squares(m, m_hat).flatten(1).sum(1).mean() / 2


def image_loss(x: Float[Tensor, "b c h w"], x_hat: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    r"""The non-parametric loss: :math:`\ell(t, \hat t) = \mathbb{E}_x\, \mathrm{dist}(t(x), \hat t(x))`.

    dist is the mean squared difference of pixels. Gradients reach :math:`\hat t` through the places where
    :math:`\hat t(x)` reads its pixels.

    Args:
        x: :math:`t(x)`, (b, c, h, w).
        x_hat: :math:`\hat t(x)`, (b, c, h, w).

    Returns:
        A 0-d tensor, the mean over the batch.

    Raises:
        ValueError: the shapes differ.

    >>> import torch
    >>> image_loss(torch.zeros(2, 1, 4, 4), torch.full((2, 1, 4, 4), 3.0))
    tensor(9.)

    Paper: Zhang, Qi, Wang, Luo 2019, arXiv:1901.04596, section 3.2.
    Differs from the paper: each t is tried on the one image that it was predicted from; dist is our choice.
    """
    return _squares(x, x_hat).mean()


def _squares(true: Tensor, predicted: Tensor) -> Tensor:
    if true.shape != predicted.shape:
        raise ValueError(
            f"What is true and what is predicted must have the same shape, but have {tuple(true.shape)} and "
            f"{tuple(predicted.shape)}."
        )
    return (true - predicted).square()
