"""One training loop for one minimiser, two adversaries or many, with exact resume. It knows no particular method."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from numbers import Integral
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from torchstone.files import remove_directory, remove_temporaries
from torchstone.training.batches import RandomAccess, read
from torchstone.training.checkpoint import load_checkpoint, save_checkpoint
from torchstone.training.first_loss import first_loss
from torchstone.training.history import History, Recorder
from torchstone.training.nested import flatten
from torchstone.training.player import Batch, Player, Recipe
from torchstone.training.randomness import Generators, generator_states, seeded_globals, set_generator_states


class NonFiniteLossError(FloatingPointError):
    """A loss was NaN or infinite: ``player``, ``step``, ``loss``, the ``batch``, and the folder of the ``evidence``."""

    def __init__(self, player: str, step: int, loss: float, batch: Batch, evidence: Path | None) -> None:
        where = "Give checkpoint=... to have the evidence saved." if evidence is None else f"The evidence: {evidence}."
        super().__init__(
            f"The loss of player {player!r} was {loss} at step {step}, so the fit stopped before that update. {where} "
            "A smaller learning rate, clipped gradients, or a look at that batch may mend it."
        )
        self.player, self.step, self.loss, self.batch, self.evidence = player, step, loss, batch, evidence


@dataclass(frozen=True)
class Round:
    """What a callback sees after a round: rounds done, the round's metrics (on their device), and the players."""

    step: int
    metrics: dict[str, Float[Tensor, ""]]
    players: Sequence[Player]


def fit(
    players: Player | Sequence[Player],
    batches: RandomAccess | Iterable[Batch],
    *,
    steps: int,
    seed: int = 0,
    checkpoint: str | Path | None = None,
    every: int | None = None,
    keep: int = 2,
    callbacks: Iterable[Callable[[Round], None]] = (),
    progress: Callable[[float, str], None] | None = None,
    generators: Generators | None = None,
    check: bool = True,
) -> History:
    r"""Train: in each of ``steps`` rounds, each player in turn takes its updates.

    An update of a player is :math:`\theta \leftarrow \text{optimizer}(\theta, \nabla_\theta f(\theta, \xi))` for the
    parameters :math:`\theta` of its own optimizer. One player is ordinary training, two are a GAN, n a game. A round
    takes as many batches as the largest ``turns``; turn j of every player sees the j-th of them.

    Models are in training mode inside, and afterwards each module in the mode it was in. What they draw from torch's
    global generators (dropout) is fixed by ``seed``; afterwards these stand where they stood. Batches must come on the
    device of the models: nothing is moved.

    With ``checkpoint`` the fit resumes from the latest whole checkpoint there, and goes on bit for bit as if it had
    never stopped, in the middle of an epoch too. For an iterable this needs the batches to be a function of torch's
    global generators and of what the caller set up alike both times; batches already used are read again and skipped.
    Batches with ``at(step)`` resume at no cost. Callbacks are not saved: what they gather is gathered anew.

    A resume takes the recipe that the fit began with: hyperparameters of the optimizer, scheduler and average must be
    as they were when the first :class:`Player` was made. More ``steps`` are welcome where the recipe does not change
    with them. (Functions inside a scheduler, as in ``LambdaLR``, cannot be compared.)

    The loss is looked at before every update (on a GPU: one synchronisation); the metrics stay on the device.

    Args:
        players: one player or several, with different names.
        batches: has ``at(step)`` (see ``torchstone.data.Batches``), or is an iterable such as a ``DataLoader``.
        steps: rounds in all, those before a resume included.
        seed: seed of the global generators inside the fit.
        checkpoint: a folder of this fit's own.
        every: rounds between checkpoints; ``None`` for a tenth of ``steps``. The last round always gets one.
        keep: how many checkpoints stay on disk.
        callbacks: each is called after every round with a :class:`Round`.
        progress: called now and then with the fraction done in [0, 1] and a short note.
        generators: further generators that the objectives draw from; their states are in the checkpoint too.
        check: watch the first loss of each player (:class:`torchstone.smoothness.Watch`), and refuse one whose
            parameters cannot all learn. It draws no random number and changes no bit; a resume needs no second look.

    Returns:
        The metrics of every round, by ``"player/metric"``.

    Raises:
        NotDifferentiableError: a parameter that a player's optimizer moves gets no gradient from its first loss; the
            message names the operation and the line where the gradient ends. The player has not moved.
        NonFiniteLossError: a loss was NaN or infinite. The parameters are those before that update. With
            ``checkpoint``, the states of the players and generators before it and the batch are saved as a checkpoint
            in its subfolder ``non-finite``, for :func:`load_checkpoint`.
        ValueError, TypeError: the arguments contradict each other or the checkpoint; the message says which.

    Example:
        >>> import torch
        >>> weight = nn.ParameterDict({"w": torch.tensor(4.0)})
        >>> player = Player(weight, lambda batch: (weight["w"] - batch) ** 2, torch.optim.SGD(weight.parameters(), 0.5))
        >>> history = fit(player, [torch.tensor(1.0)], steps=2)
        >>> history.metrics["player/loss"]
        tensor([9., 0.], dtype=torch.float64)
    """
    checkpoint = None if checkpoint is None else Path(checkpoint)
    players = [players] if isinstance(players, Player) else list(players)
    _check(players, steps, checkpoint, every, callbacks)
    turns = max(player.turns for player in players)
    every = every or max(1, steps // 10)
    models = [player.model for player in players]
    callbacks = list(callbacks)

    with _training_mode(models), seeded_globals(models, seed) as global_generators:
        every_generator = global_generators | {f"given/{name}": given for name, given in (generators or {}).items()}
        state = _State(players, every_generator, Recorder(), seed)
        for player in players:
            player.start()
        start, saved = _latest(checkpoint, steps)
        stream = read(batches, start * turns, global_generators, seed)
        if saved is not None:
            state.load(saved)
        unseen = set(players) if check and start == 0 else set()

        for step in range(start, steps):
            row: dict[str, Tensor] = {}
            drawn = list(islice(stream, turns))
            for player in players:
                for batch in drawn[: player.turns]:
                    before = generator_states(every_generator)
                    metrics = first_loss(player, batch) if player in unseen else player.evaluate(batch)
                    unseen.discard(player)
                    if not math.isfinite(metrics["loss"].item()):
                        set_generator_states(every_generator, before)
                        raise _non_finite(state, player, step, metrics["loss"].item(), batch, checkpoint)
                    row |= {f"{player.name}/{name}": value.detach().clone() for name, value in metrics.items()}
                    player.move(metrics["loss"])
            state.recorder.add(row)

            done = step + 1
            for callback in callbacks:
                callback(Round(done, row, players))
            if checkpoint is not None and (done % every == 0 or done == steps):
                save_checkpoint(checkpoint, done, state.save(), keep=keep)
            if progress is not None and (done % max(1, steps // 200) == 0 or done == steps):
                progress(done / steps, f"step {done}/{steps}")
        return state.recorder.history()


@dataclass(frozen=True)
class _State:
    """All that a checkpoint holds."""

    players: Sequence[Player]
    generators: Generators
    recorder: Recorder
    seed: int

    def save(self) -> dict[str, Any]:
        return {
            "setup": self._setup(),
            "recipes": {player.name: player.recipe for player in self.players},
            "players": {player.name: player.state_dict() for player in self.players},
            "generators": generator_states(self.generators),
            "history": dict(self.recorder.history().metrics),
        }

    def load(self, saved: dict[str, Any]) -> None:
        if saved["setup"] != self._setup():
            raise ValueError(
                f"The folder checkpoint holds another fit: {saved['setup']}, but this one is {self._setup()}. Give "
                "another folder, or delete it to start anew."
            )
        for player in self.players:
            _check_recipe(player, saved.get("recipes", {}).get(player.name, {}))  # version 1 had none
            try:
                player.load_state_dict(saved["players"][player.name])
            except (RuntimeError, ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"The folder checkpoint holds another fit: the saved state does not fit player {player.name!r} "
                    f"({error}). Give another folder, or delete it to start anew."
                ) from error
        set_generator_states(self.generators, saved["generators"])
        self.recorder.fetched.update(saved["history"])

    def _setup(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "turns": {player.name: player.turns for player in self.players},
            "generators": sorted(self.generators),
        }


def _check_recipe(player: Player, saved: Recipe) -> None:
    """Refuse another recipe than the saved one; an entry that only one version of torch knows is no difference."""
    shared = [name for name in player.recipe if name in saved]
    changed = [
        f"{name} was {saved[name]!r} and is now {now!r}"
        for name in shared
        if saved[name] != (now := player.recipe[name])
    ]
    if changed:
        raise ValueError(
            f"The folder checkpoint holds a fit with another recipe for player {player.name!r}: {'; '.join(changed)}. "
            "Give another checkpoint folder, or the same recipe, with optimizer and scheduler made anew."
        )


def _check(
    players: Sequence[Player], steps: int, checkpoint: Path | None, every: int | None, callbacks: Iterable[Any]
) -> None:
    if not isinstance(steps, Integral) or not isinstance(every, Integral | None):
        raise TypeError(f"steps and every must be whole numbers, but steps={steps!r} and every={every!r}.")
    if not isinstance(callbacks, Iterable):
        raise TypeError(
            f"callbacks must be a list of functions, but it is of type {type(callbacks).__name__}. Put it into a list: "
            "callbacks=[...]."
        )
    names = [player.name for player in players]
    if not players or len(set(names)) < len(names):
        raise ValueError(f"players must be one or more with different names, but the names are {names}.")
    if steps < 1 or (every is not None and every < 1):
        raise ValueError(f"steps and every must be 1 or more, but steps={steps} and every={every}.")
    if every is not None and checkpoint is None:
        raise ValueError(f"every={every} asks for checkpoints, but checkpoint, their folder, is None. Give both.")


def _latest(folder: Path | None, steps: int) -> tuple[int, Any]:
    if folder is None:
        return 0, None
    remove_temporaries(folder)
    latest = load_checkpoint(folder)
    if latest is None:
        return 0, None
    if latest.step > steps:
        raise ValueError(
            f"The folder checkpoint ({folder}) holds step {latest.step}, but steps={steps}. Give at least as many "
            "steps, or another folder."
        )
    return latest.step, latest.state


@contextmanager
def _training_mode(models: Iterable[nn.Module]) -> Iterator[None]:
    before = {module: module.training for model in models for module in model.modules()}
    for module in before:
        module.training = True
    try:
        yield
    finally:
        for module, training in before.items():
            module.training = training


def _non_finite(
    state: _State, player: Player, step: int, loss: float, batch: Batch, checkpoint: Path | None
) -> NonFiniteLossError:
    """The error, with the evidence saved; a batch of a type that no checkpoint can hold is only in the error."""
    if checkpoint is None:
        return NonFiniteLossError(player.name, step, loss, batch, None)
    evidence = state.save() | {"player": player.name, "loss": loss}
    with suppress(TypeError):
        flatten(batch)
        evidence["batch"] = batch
    folder = checkpoint / "non-finite"
    for earlier in folder.glob("step-*"):
        remove_directory(earlier)
    path = save_checkpoint(folder, step, evidence)
    return NonFiniteLossError(player.name, step, loss, batch, path)
