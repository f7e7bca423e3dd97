"""What every test shares: one thread a worker, untouched global generators, and no silent skips in CI."""

import os
import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import settings

settings.register_profile("torchstone", deadline=None, max_examples=20, derandomize=True)
settings.load_profile("torchstone")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def global_generators_untouched() -> Iterator[None]:
    """The library draws from generators it is given: the global ones stand after a test where they stood before."""
    before = torch.random.get_rng_state(), np.random.get_state()[1].tobytes(), random.getstate()  # noqa: NPY002
    yield
    assert torch.equal(torch.random.get_rng_state(), before[0]), "torch's global generator was used"
    assert np.random.get_state()[1].tobytes() == before[1], "numpy's global generator was used"  # noqa: NPY002
    assert random.getstate() == before[2], "random's global generator was used"


def need(condition: bool, reason: str) -> None:
    """Skip a test whose means a user may lack; in CI, where all of them must be there, fail instead."""
    if condition:
        return
    if os.environ.get("TORCHSTONE_TEST_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)
