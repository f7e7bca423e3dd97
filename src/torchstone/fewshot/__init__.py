"""Few-shot classification: episodes, classifiers on frozen embeddings, and the rivals that learn to learn."""

from torchstone.fewshot.classifier import BaseClassifier, Trained
from torchstone.fewshot.embedding import embed, embed_copies, unit_rows
from torchstone.fewshot.episodes import Episode, Episodes
from torchstone.fewshot.evaluation import EpisodeScores, evaluate_episodes
from torchstone.fewshot.heads import HEADS, Head, fit_head
from torchstone.fewshot.inputs import check_disjoint

__all__ = [
    "HEADS",
    "BaseClassifier",
    "Episode",
    "EpisodeScores",
    "Episodes",
    "Head",
    "Trained",
    "check_disjoint",
    "embed",
    "embed_copies",
    "evaluate_episodes",
    "fit_head",
    "unit_rows",
]
