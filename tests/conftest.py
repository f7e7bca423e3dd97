"""What every test shares: one thread a worker, untouched global generators, and no silent skips in CI."""

import os
import random
import shutil
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
import rich.style  # noqa: F401  # draws from `random` when it is first imported, by whatever test that may be
import torch
from hypothesis import settings

settings.register_profile("torchstone", deadline=None, max_examples=20, derandomize=True)
settings.load_profile("torchstone")
torch.set_num_threads(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started with Ctrl-C ignored


@pytest.fixture(autouse=True)
def global_generators_untouched() -> Iterator[None]:
    """The library draws from generators it is given: the global ones stand after a test where they stood before."""
    before = torch.random.get_rng_state(), numpy_state(), random.getstate()
    yield
    assert torch.equal(torch.random.get_rng_state(), before[0]), "torch's global generator was used"
    assert numpy_state() == before[1], "numpy's global generator was used"
    assert random.getstate() == before[2], "random's global generator was used"


def numpy_state() -> tuple[object, ...]:
    """Key and place: a draw moves the place, and changes the key only when all of it is used up."""
    name, key, *place = np.random.get_state()  # noqa: NPY002
    return name, key.tobytes(), *place


def need(condition: bool, reason: str) -> None:
    """Skip a test whose means a user may lack; in CI, where all of them must be there, fail instead."""
    if condition:
        return
    if os.environ.get("TORCHSTONE_TEST_ALL"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Headless Chromium, driven by playwright; a test that opens pages takes it and carries the marker ``browser``."""
    program = shutil.which("chromium")
    need(program is not None, "Chromium is missing: install Debian's package chromium.")
    need(find_spec("playwright") is not None, "playwright is missing: pip install 'torchstone[dev]'.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
