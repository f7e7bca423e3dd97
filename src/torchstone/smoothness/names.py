"""One name for each torch function: ``torch.relu``, ``Tensor.relu_`` and ``functional.relu`` are all ``relu``."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

OPERATORS = {"iadd": "add", "radd": "add", "isub": "sub", "imul": "mul", "rmul": "mul", "truediv": "div"} | {
    "itruediv": "div",
    "idiv": "div",
    "ifloordiv": "floor_divide",
    "floordiv": "floor_divide",
    "ipow": "pow",
    "imod": "remainder",
    "mod": "remainder",
}
PREFIXES = ("special_", "linalg_")


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


SILENT = words(  # what says nothing of values
    "shape dtype device layout grad_fn requires_grad is_leaf ndim names is_cuda is_cpu is_meta is_sparse is_mkldnn "
    "is_mps is_xpu is_quantized is_nested output_nr version name retains_grad itemsize nbytes "
    "size dim numel nelement ndimension stride storage_offset element_size is_contiguous is_floating_point is_complex "
    "is_signed is_conj is_neg is_inference is_same_size is_shared is_pinned is_tensor is_nonzero_shape get_device "
    "data_ptr untyped_storage storage len hash repr str format dir register_hook register_post_accumulate_grad_hook "
    "retain_grad backward_hooks result_type promote_types can_cast set_grad_enabled is_grad_enabled share_memory "
    "isnan isinf isfinite isposinf isneginf is_all_true is_set_to has_names grad_dtype dim_order iter"
)
FRESH = words(  # take a tensor for its shape only
    "zeros_like ones_like empty_like full_like rand_like randn_like randint_like new_zeros new_ones new_empty new_full "
    "empty_strided new_empty_strided zero uniform random exponential cauchy log_normal geometric "
    "set resize"
)
SEPARATE = words("broadcast_tensors meshgrid atleast_1d atleast_2d atleast_3d")
"""Each of their results is one argument in another shape, and has nothing of the others."""
LIKE = words("to type_as view_as reshape_as expand_as")
"""They take a second tensor for its shape or its dtype only."""
OVERWRITING = words("fill copy zero normal bernoulli uniform random exponential cauchy log_normal geometric")
"""In place, they leave nothing of what was there."""


@lru_cache(maxsize=4096)
def named(function: Callable[..., Any]) -> str:
    """The name that rules are listed under."""
    name = str(getattr(function, "__name__", type(function).__name__))
    if name in ("__get__", "__set__", "__delete__"):
        attribute: Any = function
        name = ("" if name == "__get__" else "set.") + str(attribute.__self__.__name__)
    magic = name.startswith("__")
    name = name.strip("_")
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return OPERATORS.get(name, name) if magic else name


def in_place(function: Callable[..., Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether it may write into its first argument (or ``out``), by its name and arguments."""
    name = str(getattr(function, "__name__", ""))
    operator = (name.startswith("__i") and name.strip("_") in OPERATORS) or name in ("__setitem__", "__set__")
    trailing = name.endswith("_") and not name.endswith("__")
    return operator or trailing or bool(kwargs.get("inplace")) or "out" in kwargs


COUNTING = frozenset(["batch_norm", "instance_norm"])
"""They write running statistics into arguments other than the first."""
INSIDE = frozenset(["embedding", "embedding_bag"])
"""Functions in Python whose inside is looked at although there is a rule of that name, for the function inside."""
