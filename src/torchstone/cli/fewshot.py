"""``torchstone fewshot classify``: name the pictures of a folder after a few examples of each class."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import tyro

from torchstone.cli.common import UsageError, check_file, check_writable, screen
from torchstone.cli.compare import build, load_weights

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor

    from torchstone.data import ImageSet
    from torchstone.fewshot import FewShotClassifier


class Answer(NamedTuple):
    """What a picture was taken for; without a probability where the head has none."""

    file: str
    label: str
    probability: float | None


@dataclass(frozen=True)
class Fewshot:
    """Classify your pictures by a few examples of each class, on the embedding of your own encoder."""

    what: Annotated[tyro.conf.Positional[Literal["classify"]], tyro.conf.arg(metavar="classify")]
    """what to do"""
    encoder: Annotated[str, tyro.conf.arg(metavar="MODULE:FUNCTION")]
    """makes the encoder, such as `my_models:build`; imported from the current directory too"""
    support: Path
    """folder of examples, with a sub-folder for each class"""
    query: Path
    """folder of pictures to classify"""
    weights: Path | None = None
    """safetensors file for the encoder; without it, the encoder as the function makes it"""
    out: Path | None = None
    """also write the table to this CSV file"""
    head: Literal["logistic", "centroid", "neighbour", "svm", "prototypes"] = "logistic"
    """the classifier on the examples' features; logistic and prototypes give probabilities"""
    c: float = 1.0
    """inverse strength of the penalty (logistic, svm)"""
    size: int = 84
    """side of the pictures in pixels"""
    channels: int = 3
    """1 for grey, 3 for colour"""
    batch_size: int = 64
    """pictures at a time"""
    device: str = "cpu"
    """such as cpu or cuda"""

    def run(self) -> int:
        """Classify, print the table and write it; returns the exit code."""
        if self.out is not None:
            check_writable(self.out.parent)
            check_file(self.out)
        answers = self._answers()
        console = screen()
        console.print(table_of(answers))
        if self.out is not None:
            from torchstone.files import write_text

            write_text(self.out, csv_of(answers))
            console.print(f"Written: {self.out}", markup=False, soft_wrap=True)
        return 0

    def _answers(self) -> list[Answer]:
        from torchstone.data import picture_files
        from torchstone.fewshot import FewShotClassifier

        encoder = build(self.encoder)
        load_weights(encoder, self.weights, self.encoder)
        support, query = self._pictures(self.support, "--support"), self._pictures(self.query, "--query")
        if len(support.classes) < 2:
            raise UsageError(f"--support {self.support} must have a sub-folder for each of 2 or more classes.")
        names = [support.classes[label] for label in support.labels.tolist()]
        try:
            classifier = FewShotClassifier(
                encoder.to(self.device), self.head, c=self.c, batch_size=self.batch_size
            ).fit(support.images, names)
            labels, chances = answered(classifier, query.images)
        except (ValueError, TypeError, RuntimeError, AssertionError) as error:  # torch asserts that it has CUDA
            raise UsageError(f"The pictures could not be classified: {error}") from error
        files = [str(path.relative_to(self.query)) for path in picture_files(self.query)]
        return [Answer(*row) for row in zip(files, labels, chances, strict=True)]

    def _pictures(self, folder: Path, option: str) -> "ImageSet":
        from torchstone.data import images

        try:
            return images(folder, size=self.size, channels=self.channels)
        except (FileNotFoundError, ValueError) as error:
            raise UsageError(f"{option} {folder}: {error}") from error


def answered(classifier: "FewShotClassifier", pictures: "Tensor") -> tuple[list[str], list[float | None]]:
    """The class of each picture and, where the head has one, its probability; pictures are embedded once."""
    if not hasattr(classifier, "predict_proba"):
        labels = classifier.predict(pictures).tolist()
        return labels, [None] * len(labels)
    chances = classifier.predict_proba(pictures)
    return classifier.classes_[chances.argmax(1)].tolist(), chances.max(1).tolist()


def table_of(answers: list[Answer]) -> "Table":
    """File, class and probability, a row a picture."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("File", "Class"):
        table.add_column(heading, overflow="fold")
    table.add_column("Probability", justify="right")
    for file, label, probability in answers:
        table.add_row(Text(file), Text(label), "–" if probability is None else f"{probability:.3f}")
    return table


def csv_of(answers: list[Answer]) -> str:
    """The same as CSV; the probability is empty where the head has none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "class", "probability"))
    writer.writerows(answers)
    return text.getvalue()
