"""One number an example, from what a model gives."""

from jaxtyping import Float
from torch import Tensor


def one_output(values: object, n: int, output: int | None) -> Float[Tensor, " n"]:
    """One number for each of n examples, from what a model gave for them.

    Args:
        values: what it gave, (n, *shape).
        n: the number of examples.
        output: which entry of the flattened output; ``None`` where there is one only.

    Raises:
        ValueError: not a tensor of n rows; several outputs and none chosen; one chosen that is not there.
    """
    if not isinstance(values, Tensor) or values.ndim == 0 or len(values) != n:
        came = f"a tensor of shape {tuple(values.shape)}" if isinstance(values, Tensor) else f"{type(values).__name__}"
        raise ValueError(f"model must map (n, *shape) inputs to n outputs, but for {n} inputs it gave {came}.")
    rows = values.reshape(n, -1)
    outputs = rows.shape[1]
    if output is None and outputs != 1:
        raise ValueError(f"model has {outputs} outputs: say which one to look at, output=0 for example.")
    if output is not None and (not isinstance(output, int) or not 0 <= output < outputs):
        raise ValueError(f"output must be a whole number from 0 to {outputs - 1}, but it is {output!r}.")
    return rows[:, output or 0]
