"""Few-shot classification: episodes, classifiers on frozen embeddings, and the rivals that learn to learn."""

from typing import TYPE_CHECKING, Any

from torchstone.fewshot.adaptation import adapt
from torchstone.fewshot.classifier import BaseClassifier, Trained
from torchstone.fewshot.distil import distil, distillation_loss
from torchstone.fewshot.embedding import embed, embed_copies, unit_rows
from torchstone.fewshot.episodes import Episode, Episodes
from torchstone.fewshot.evaluation import EpisodeScores, evaluate_episodes
from torchstone.fewshot.heads import HEADS, Head, fit_head
from torchstone.fewshot.inputs import check_disjoint
from torchstone.fewshot.maml import MAML
from torchstone.fewshot.protonet import ProtoNet, prototype_logits
from torchstone.fewshot.recipe import Recipe
from torchstone.fewshot.rfs import train_embedding

if TYPE_CHECKING:
    from torchstone.fewshot.estimator import FewShotClassifier

__all__ = [
    "HEADS",
    "MAML",
    "BaseClassifier",
    "Episode",
    "EpisodeScores",
    "Episodes",
    "FewShotClassifier",
    "Head",
    "ProtoNet",
    "Recipe",
    "Trained",
    "adapt",
    "check_disjoint",
    "distil",
    "distillation_loss",
    "embed",
    "embed_copies",
    "evaluate_episodes",
    "fit_head",
    "prototype_logits",
    "train_embedding",
    "unit_rows",
]


def __getattr__(name: str) -> Any:
    """``FewShotClassifier`` when it is first asked for, since scikit-learn takes its time."""
    if name != "FewShotClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from torchstone.fewshot.estimator import FewShotClassifier

    return FewShotClassifier
