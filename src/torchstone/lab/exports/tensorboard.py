"""Records as runs of TensorBoard: one folder each, with configuration, metrics and where it comes from."""

from collections.abc import Sequence
from pathlib import Path

from torchstone.files import atomic_directory
from torchstone.lab.encoding import to_json
from torchstone.lab.exports.text import record_values
from torchstone.lab.recorded import Recorded


def write_tensorboard(records: Sequence[Recorded], folder: Path) -> int:
    """Write each record below ``folder`` as a run that ``tensorboard --logdir FOLDER`` shows, also under HPARAMS.

    A run is called ``STUDY/SCALE/ARM-seedSEED-ID``; one that is there is left as it is.

    Args:
        records: what to write; the extra ``tensorboard`` is needed.
        folder: the log directory; made when missing.

    Returns:
        How many runs were written.
    """
    written = 0
    for recorded in records:
        key = recorded.key
        run = folder / key.study / key.scale / f"{_file_name(key.arm)}-seed{key.seed}-{recorded.id}"
        if not run.exists():
            with atomic_directory(run) as temporary:
                _write(recorded, temporary)
            written += 1
    return written


def _write(recorded: Recorded, run: Path) -> None:
    from torch.utils.tensorboard import SummaryWriter

    values, parameters = record_values(recorded), {"arm": recorded.key.arm, "seed": recorded.key.seed}
    for name, value in values["config"].items():
        parameters[f"config.{name}"] = value if isinstance(value, bool | int | float | str) else to_json(value)
    with SummaryWriter(str(run)) as writer:
        writer.add_text("record", "\n".join(f"* {name}: {value}" for name, value in values.items()))
        writer.add_hparams(
            parameters, {f"metrics/{name}": value for name, value in values["metrics"].items()}, run_name="."
        )


def _file_name(arm: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in arm)
