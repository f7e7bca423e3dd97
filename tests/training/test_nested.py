import json
import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from torchstone.training.nested import flatten, unflatten

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
STATES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.integers() | st.text() | st.booleans(), inner)
    ),
)
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.uint8, torch.int64, torch.bool]


def through(state: Any) -> Any:
    tensors, document = flatten(state)
    return unflatten(tensors, json.loads(json.dumps(document, allow_nan=False)))


def exact(state: Any) -> str:
    """Types and bits: 1, 1.0 and True differ, as do -0.0 and 0.0."""
    return repr(state)


@given(STATES)
def test_any_nest_of_plain_values_comes_back(state: Any):
    assert exact(through(state)) == exact(state)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0, 2), (3, 2)])
def test_tensors_come_back_bit_for_bit(dtype: torch.dtype, shape: tuple[int, ...]):
    tensor = torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    back = through({"x": [tensor]})["x"][0]
    assert back.dtype == dtype
    assert torch.equal(back, tensor)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (3, 3, 1, 1), (1, 5, 2, 2), (0, 2, 3, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_tensors_keep_their_memory_format(shape: tuple[int, ...], layout: torch.memory_format):
    tensor = torch.arange(math.prod(shape)).reshape(shape).contiguous(memory_format=layout)
    back = through(tensor)
    assert torch.equal(back, tensor)
    assert back.is_contiguous(memory_format=layout)


def test_a_slice_and_an_expanded_tensor_come_back_by_value():
    base = torch.arange(12.0).reshape(3, 4)
    for view in (base[:, ::2], base.T[1:], base[:1].expand(5, 4)):
        assert torch.equal(through(view), view)


def test_nan_and_infinities_come_back():
    nan, inf, minus = through([math.nan, math.inf, -math.inf])
    assert math.isnan(nan)
    assert (inf, minus) == (math.inf, -math.inf)


def test_keys_that_spell_the_same_path_do_not_collide():
    state = {"a": {"b": torch.tensor(1)}, "a.b": torch.tensor(2), 1: torch.tensor(3), "1": torch.tensor(4)}
    back = through(state)
    assert [int(back["a"]["b"]), int(back["a.b"]), int(back[1]), int(back["1"])] == [1, 2, 3, 4]


def test_a_counter_stays_one():
    assert isinstance(through({"milestones": Counter([3, 5, 5])})["milestones"], Counter)


def test_flattening_is_a_snapshot_and_tied_tensors_share_nothing():
    weight = torch.ones(2)
    tensors, _ = flatten({"a": weight, "b": weight, "c": weight[:1]})
    weight.zero_()
    assert all(bool((tensor == 1).all()) for tensor in tensors.values())
    assert len({tensor.untyped_storage().data_ptr() for tensor in tensors.values()}) == 3


def test_an_unknown_type_is_named_with_its_place():
    with pytest.raises(TypeError, match=r"state\.a\.1 is of type object"):
        flatten({"a": [0, object()]})
