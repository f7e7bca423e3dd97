"""``torchstone selfsup pretrain``: an encoder from pictures without labels, for few-shot classification and others."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from torchstone.cli.common import UsageError, check_file, check_writable, screen
from torchstone.cli.encoder_files import About, is_file, may_be_named, write_encoder
from torchstone.cli.encoders import spelled_out
from torchstone.cli.models import build

if TYPE_CHECKING:
    from torchstone.data import ImageSet
    from torchstone.selfsup import AED, AET, RotNet

SETTINGS = "settings.json"


@dataclass(frozen=True)
class Selfsup:
    """Train an encoder on your pictures without labels; a killed run goes on when the command is given again."""

    what: Annotated[tyro.conf.Positional[Literal["pretrain"]], tyro.conf.arg(metavar="pretrain")]
    """what to do"""
    data: Path
    """folder of pictures; sub-folders are welcome, their names are not used"""
    method: Literal["aet-affine", "aet-projective", "aed", "rotnet"] = "aet-affine"
    """what is predicted: an affine or projective transformation, the picture itself, or a turn by 90°"""
    encoder: str = "conv4"
    """nin, conv4, or MODULE:FUNCTION such as `my_models:build`, imported from the current directory too"""
    steps: int = 1000
    """updates"""
    out: Path = Path("encoder.safetensors")
    """where the encoder goes: its weights, which network it is, and how its pictures were prepared"""
    size: int = 32
    """side of the pictures in pixels"""
    channels: Literal[1, 3] = 3
    """1 for grey, 3 for colour"""
    batch_size: int = 128
    """pictures in a step; all of them, if there are fewer"""
    rate: float = 0.1
    """learning rate at the beginning"""
    noise: float = 0.0
    """standard deviation of the noise that aed removes; pictures lie in [0, 1]"""
    seed: int = 0
    """of weights, batches and transformations"""
    device: str = "cpu"
    """such as cpu or cuda"""

    @property
    def spec(self) -> str:
        """The encoder as MODULE:FUNCTION."""
        return spelled_out(self.encoder, self.channels)

    def run(self) -> int:
        """Train, write the weights and say how to use them; returns the exit code."""
        check_writable(self.out.parent)
        check_file(self.out)
        if is_file(self.encoder):
            raise UsageError(f"--encoder {self.encoder} is a file. Give the network: nin, conv4 or MODULE:FUNCTION.")
        pictures = self._pictures()
        folder = self.out.with_name(f"{self.out.name}.checkpoints")
        check_same(folder, self._settings(pictures))
        try:
            method = self._method(len(pictures))
            with bar() as progress:
                method.fit(pictures.images, steps=self.steps, seed=self.seed, checkpoint=folder, progress=progress)
            said = described(method, pictures)
        except (ValueError, TypeError, RuntimeError, AssertionError, FloatingPointError) as error:
            raise UsageError(f"The encoder could not be trained: {error}") from error  # torch asserts that it has CUDA
        about = About(self.spec, self.channels, self.size, self.method, self.steps, self.seed)
        write_encoder(self.out, method.encoder_, about)
        forget(folder)
        console = screen()
        for line in (said, f"Written: {self.out}", self._use()):
            console.print(line, markup=False, soft_wrap=True)
        return 0

    def _pictures(self) -> "ImageSet":
        from torchstone.data import images

        try:
            return images(self.data, size=self.size, channels=self.channels)
        except (FileNotFoundError, ValueError) as error:
            raise UsageError(f"--data {self.data}: {error}") from error

    def _settings(self, pictures: "ImageSet") -> dict[str, Any]:
        """All that the weights depend on."""
        from torchstone.files import sha256

        options = asdict(self)
        for name in ("what", "data", "out", "device"):
            del options[name]
        return options | {"encoder": self.spec, "pictures": sha256(pictures.images.numpy().tobytes())}

    def _method(self, n: int) -> "AET | AED | RotNet":
        from torchstone.nets import seeded
        from torchstone.selfsup import AED, AET, RandomAffine, RandomProjective, Recipe, RotNet

        with seeded(self.seed):
            encoder = build(self.spec).to(self.device)
        recipe = Recipe(rate=self.rate, batch_size=min(self.batch_size, n))
        if self.method == "aed":
            return AED(encoder, self.noise, recipe=recipe)
        if self.method == "rotnet":
            return RotNet(encoder, recipe=recipe)
        transformation = RandomAffine() if self.method == "aet-affine" else RandomProjective()
        return AET(encoder, transformation, recipe=recipe)

    def _use(self) -> str:
        encoder = self.out if may_be_named(self.spec) else f"{self.spec} --weights {self.out}"
        return f"Use it: torchstone fewshot classify --encoder {encoder} --support FOLDER --query FOLDER"


def check_same(folder: Path, settings: dict[str, Any]) -> None:
    """Compare ``settings`` with those that are kept beside the checkpoints, or keep them for checkpoints to come.

    Raises:
        UsageError: the checkpoints are those of a run with other settings.
    """
    from torchstone.files import write_text

    kept = folder / SETTINGS
    if not any(folder.glob("step-*")):
        return write_text(kept, json.dumps(settings))
    try:
        before = json.loads(kept.read_text(encoding="utf-8"))
        changed = [name for name, value in settings.items() if before.get(name) != value]
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"{kept} is missing or damaged. Remove the folder {folder} to start anew.") from error
    if changed:
        raise UsageError(
            f"{folder} holds an unfinished run with other settings ({', '.join(changed)}). Give the command as before "
            "to finish it, remove the folder to start anew, or give another --out."
        )
    return None


def forget(folder: Path) -> None:
    """Remove the checkpoints of a run that is finished."""
    from torchstone.files import remove_directory

    remove_directory(folder)


def described(method: "AET | AED | RotNet", pictures: "ImageSet") -> str:
    """How well the task was learnt, on the pictures that it was learnt on."""
    from torchstone.selfsup import AED, RotNet

    x = pictures.images
    if isinstance(method, AED):
        return f"Reconstruction error: {method.reconstruction_error(x):.4f}, mean square, pixels in [0, 1]."
    if isinstance(method, RotNet):
        return f"Turns told wrong: {100 * method.transformation_error(x):.1f} % (chance: 75 %)."
    measured = method.transformation_error(x)
    return f"Transformation error: {measured.error:.3f} (chance: {measured.chance:.3f})."


@contextmanager
def bar() -> Iterator[Callable[[float, str], None]]:
    """A progress bar on a terminal, silence elsewhere."""
    from rich.progress import Progress

    with Progress(console=screen(errors=True), disable=not sys.stderr.isatty()) as display:
        task = display.add_task("Pretraining", total=1.0)
        yield lambda done, note: display.update(task, completed=done, description=note)
