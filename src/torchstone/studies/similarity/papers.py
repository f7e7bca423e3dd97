"""The papers that more than one claim comes from."""

from torchstone.lab import Paper


def kornblith(where: str) -> Paper:
    """The paper that proposed linear CKA for layers, at a table or figure."""
    return Paper(
        "Kornblith, Norouzi, Lee, Hinton",
        2019,
        "Similarity of Neural Network Representations Revisited",
        arxiv="1905.00414",
        where=where,
    )
