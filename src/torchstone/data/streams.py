"""Random numbers for many ends from one seed."""

import hashlib

import torch


def stream(seed: int, *words: object) -> torch.Generator:
    """A generator of its own for every seed and words; hashed, so that near seeds and numbers give unrelated streams.

    Args:
        seed: the seed.
        *words: what the draws are for, such as a purpose and the number of a step; what they read as counts.

    Returns:
        A generator on the CPU.

    Example:
        >>> first, again, other = (stream(0, "epoch", epoch) for epoch in (1, 1, 2))
        >>> first.initial_seed() == again.initial_seed(), first.initial_seed() == other.initial_seed()
        (True, False)
    """
    digest = hashlib.sha256(" ".join(map(str, (seed, *words))).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
