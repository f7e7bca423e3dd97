"""Where downloaded and rendered data, and what is known of the claims, are kept between runs."""

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$TORCHSTONE_CACHE`` if it is set, else ``~/.cache/torchstone``; made by whoever writes to it."""
    chosen = os.environ.get("TORCHSTONE_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "torchstone"
