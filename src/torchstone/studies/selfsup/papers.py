"""The paper of these claims."""

from torchstone.lab import Paper


def aet(where: str) -> Paper:
    """Auto-encoding transformations rather than data."""
    return Paper(
        "Zhang, Qi, Wang, Luo",
        2019,
        "AET vs. AED: Unsupervised Representation Learning by Auto-Encoding Transformations rather than Data",
        arxiv="1901.04596",
        where=where,
    )
