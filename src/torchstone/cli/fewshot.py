"""``torchstone fewshot classify``: name the pictures of a folder after a few examples of each class."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import tyro

from torchstone.cli.common import UsageError, check_file, check_writable, screen
from torchstone.cli.encoder_files import About, is_file, read_about, read_encoder_file
from torchstone.cli.encoders import spelled_out
from torchstone.cli.models import build
from torchstone.cli.weights import load_weights

if TYPE_CHECKING:
    from rich.table import Table
    from torch import Tensor, nn

    from torchstone.data import ImageSet
    from torchstone.fewshot import FewShotClassifier


class Answer(NamedTuple):
    """What a picture was taken for; without a probability where the head has none."""

    file: str
    label: str
    probability: float | None


DEFAULTS = {"--size": 84, "--channels": 3}


@dataclass(frozen=True)
class Fewshot:
    """Classify your pictures by a few examples of each class, on the embedding of your own encoder."""

    what: Annotated[tyro.conf.Positional[Literal["classify"]], tyro.conf.arg(metavar="classify")]
    """what to do"""
    encoder: Annotated[str, tyro.conf.arg(metavar="FILE|MODULE:FUNCTION")]
    """what `torchstone selfsup pretrain` wrote; or what makes the encoder: nin, conv4, or MODULE:FUNCTION such as
    `my_models:build`, imported from the current directory too"""
    support: Path
    """folder of examples, with a sub-folder for each class"""
    query: Path
    """folder of pictures to classify"""
    weights: Path | None = None
    """safetensors file for an encoder of MODULE:FUNCTION; without it, the encoder as the function makes it"""
    out: Path | None = None
    """also write the table to this CSV file"""
    head: Literal["logistic", "centroid", "neighbour", "svm", "prototypes"] = "logistic"
    """the classifier on the examples' features; logistic and prototypes give probabilities"""
    c: float = 1.0
    """inverse strength of the penalty (logistic, svm)"""
    size: int | None = None
    """side of the pictures in pixels; by default what the file of the encoder says, or else 84"""
    channels: Literal[1, 3] | None = None
    """1 for grey, 3 for colour; by default what the file says, or else 3"""
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

        encoder, size, channels = self._encoder()
        support = pictures(self.support, "--support", size, channels)
        query = pictures(self.query, "--query", size, channels)
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

    def _encoder(self) -> tuple["nn.Module", int, int]:
        """The encoder with its weights, and the size and channels of its pictures."""
        spec, weights, about = self._source()
        size = settled("--size", self.size, None if about is None else about.size, weights)
        channels = settled("--channels", self.channels, None if about is None else about.channels, weights)
        spec = spelled_out(spec, channels)
        encoder = build(spec)
        load_weights(encoder, weights, spec)
        return encoder, size, channels

    def _source(self) -> tuple[str, Path | None, About | None]:
        """What makes the encoder, the file of its weights, and what that says of itself."""
        if not is_file(self.encoder):
            return self.encoder, self.weights, None if self.weights is None else read_about(self.weights)
        if self.weights is not None:
            raise UsageError(f"--encoder {self.encoder} brings its weights along. Leave out --weights {self.weights}.")
        file = Path(self.encoder)
        about = read_encoder_file(file)
        return about.encoder, file, about


def settled(option: str, given: int | None, said: int | None, file: Path | None) -> int:
    """What was given by ``option``, or else said by ``file``, or else the default.

    Raises:
        UsageError: what was given is not what the file says.
    """
    if given is not None and said is not None and given != said:
        raise UsageError(f"{option} is {given}, but {file} was trained with {said}. Leave {option} out.")
    return next(value for value in (given, said, DEFAULTS[option]) if value is not None)


def pictures(folder: Path, option: str, size: int, channels: int) -> "ImageSet":
    """The pictures of a folder that was given by ``option``."""
    from torchstone.data import images

    try:
        return images(folder, size=size, channels=channels)
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
