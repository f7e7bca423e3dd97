"""What is claimed: the source in one line, and objects that nobody changes."""

from dataclasses import FrozenInstanceError

import pytest

from torchstone.lab import Claim, Paper


def test_a_source_is_one_line() -> None:
    assert Paper("Euler", 1736, "Solutio problematis").cite == "Euler (1736). Solutio problematis."
    paper = Paper("Kornblith et al.", 2019, "Similarity", arxiv="1905.00414", where="Table 2")
    assert paper.cite == "Kornblith et al. (2019). Similarity, arXiv:1905.00414, Table 2."


def test_a_claim_is_fixed() -> None:
    claim = Claim("a-claim", "It is so.", Paper("Euler", 1736, "Solutio problematis"))
    with pytest.raises(FrozenInstanceError):
        claim.sentence = "It is not so."
