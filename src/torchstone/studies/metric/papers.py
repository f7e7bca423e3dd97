"""The paper behind the claims about metric learning."""

from torchstone.lab import Paper

REALITY_CHECK = Paper(
    "Musgrave, Belongie, Lim", 2020, "A Metric Learning Reality Check", arxiv="2003.08505", where="sections 2 and 4"
)
