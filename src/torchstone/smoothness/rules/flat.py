"""Operations whose derivative is zero almost everywhere, and those that jump but keep a derivative."""

from torchstone.smoothness.domain import REAL
from torchstone.smoothness.orders import Order
from torchstone.smoothness.rules.rule import Rule, Table, rows, shape_of

SOFTMAX = "a softmax instead, a straight-through estimator (hard + soft - soft.detach()), or a score-function estimator"
ROUND = "a straight-through estimator (x + (x.round() - x).detach()), or leave the values as they are"
COMPARE = "a sigmoid of the difference instead, a straight-through estimator, or a score-function estimator"
SAMPLE = "a reparameterised sample (rsample), or a score-function estimator"


def flat(hint: str) -> Rule:
    """Piecewise constant."""
    return Rule(Order.DISCONTINUOUS, shape=lambda call: shape_of(call).flat(), flat=True, hint=hint)


FLAT: Table = {
    **rows("argmax argmin argsort argwhere one_hot nonzero unique unique_consecutive", flat(SOFTMAX)),
    **rows("round floor ceil trunc fix floor_divide floordiv frexp", flat(ROUND)),
    **rows("int long short byte char", flat(ROUND)),
    **rows("sign sgn heaviside gt ge lt le eq ne greater greater_equal less less_equal not_equal", flat(COMPARE)),
    **rows(
        "logical_and logical_or logical_not logical_xor and or xor invert any all bool signbit isclose", flat(COMPARE)
    ),
    **rows("bucketize searchsorted histc histogram bincount count_nonzero digitize isin", flat(COMPARE)),
    **rows("multinomial bernoulli poisson normal binomial", flat(SAMPLE)),
    **rows(
        "remainder fmod frac mod",
        Rule(Order.DISCONTINUOUS, shape=lambda call: shape_of(call).cut(), range=lambda call: REAL),
    ),
    **rows("hardshrink", Rule(Order.DISCONTINUOUS, shape=lambda call: shape_of(call).cut())),
}
