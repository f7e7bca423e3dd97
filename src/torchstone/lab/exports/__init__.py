"""What is on record, in the formats of other programs."""

from torchstone.lab.exports.mlflow import write_mlflow
from torchstone.lab.exports.tensorboard import write_tensorboard
from torchstone.lab.exports.text import record_values, to_csv, to_markdown

__all__ = ["record_values", "to_csv", "to_markdown", "write_mlflow", "write_tensorboard"]
