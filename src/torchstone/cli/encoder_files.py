"""Encoder files: weights that say which network they belong to, and on what pictures they were trained."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torchstone.cli.common import UsageError
from torchstone.cli.encoders import KNOWN, NAMES
from torchstone.cli.weights import readable_weights

if TYPE_CHECKING:
    from torch import nn

FORMAT = "torchstone encoder 1"
FAMILY = "torchstone encoder "


@dataclass(frozen=True)
class About:
    """What an encoder file says of itself.

    Args:
        encoder: MODULE:FUNCTION, which makes the network.
        channels: of its pictures, 1 for grey or 3 for colour.
        size: side of its pictures in pixels.
        method: how it was trained.
        steps: updates.
        seed: of the training.
    """

    encoder: str
    channels: int
    size: int
    method: str
    steps: int
    seed: int

    def __post_init__(self) -> None:
        for name, kind in type(self).__annotations__.items():
            if type(getattr(self, name)) is not kind:
                raise TypeError(f"its {name} is {getattr(self, name)!r}")
        if self.channels not in (1, 3) or self.size < 1:
            raise ValueError(f"it has {self.channels} channels and {self.size} pixels")


def is_file(encoder: str) -> bool:
    """Whether ``--encoder`` is a file, not a name or MODULE:FUNCTION.

    >>> is_file("made/encoder.safetensors"), is_file("my_models:build"), is_file("conv4")
    (True, False, False)
    """
    return encoder not in NAMES and (encoder.endswith(".safetensors") or Path(encoder).exists())


def write_encoder(path: Path, encoder: "nn.Module", about: About) -> None:
    """Write the weights of ``encoder``, and what they are."""
    from torchstone.files import tensor_bytes, write_bytes

    metadata = {"format": FORMAT, "encoder": json.dumps(asdict(about))}
    write_bytes(path, tensor_bytes(encoder.state_dict(), metadata))


def read_about(path: Path) -> About | None:
    """What the file at ``path`` says of itself; None, if it holds weights only.

    Raises:
        UsageError: there is no such file, it is of another kind, or what it says is of no use.
    """
    from torchstone.files import read_metadata

    with readable_weights(path):
        metadata = read_metadata(path)
    kind = metadata.get("format", "")
    if not kind.startswith(FAMILY):
        return None
    if kind != FORMAT:
        raise UsageError(f"{path} is of the format '{kind}', but this torchstone reads '{FORMAT}'. Update torchstone.")
    try:
        return About(**json.loads(metadata["encoder"]))
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"{path} does not say which encoder it holds ({error}). Write it again.") from error


def read_encoder_file(path: Path) -> About:
    """What the encoder file at ``path`` says of itself.

    Raises:
        UsageError: as for :func:`read_about`; or it holds weights only; or its network is made by installed code, which
            no file may start: such functions open browsers and servers.
    """
    about = read_about(path)
    if about is None:
        raise UsageError(
            f"{path} holds weights, but does not say of which network, as files of `torchstone selfsup pretrain` do. "
            f"Give the network too: --encoder MODULE:FUNCTION --weights {path}."
        )
    if not may_be_named(about.encoder):
        raise UsageError(
            f"{path} names '{about.encoder}' as its network. A file may name a network of torchstone's or one from a "
            f"module in the current directory, and there is no such module here. Change to its directory, or, if you "
            f"trust that function, name it yourself: --encoder {about.encoder} --weights {path}."
        )
    return about


def may_be_named(spec: str) -> bool:
    """Whether a file may have MODULE:FUNCTION called: one of torchstone's encoders, or from the current directory."""
    top = spec.partition(":")[0].partition(".")[0]
    places = (Path(f"{top}.py"), Path(top) / "__init__.py")
    return spec in KNOWN or (top.isidentifier() and any(place.is_file() for place in places))
