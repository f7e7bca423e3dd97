"""The first loss of a player, watched: a fit does not begin with parameters that cannot learn."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from torchstone.smoothness import Finding, NotDifferentiableError, Report, Watch
from torchstone.smoothness.rendering import blocks
from torchstone.training.player import Batch, Player


def first_loss(player: Player, batch: Batch) -> dict[str, Float[Tensor, ""]]:
    """What :meth:`Player.evaluate` returns, in sight of the smoothness check: it runs once, and no bit changes.

    Raises:
        NotDifferentiableError: a parameter gets no gradient: the program says why, and autograd agrees.
        TypeError, ValueError: as :meth:`Player.evaluate`.
    """
    parameters = player.learning()
    if not parameters or not in_sight(player.model):
        return player.evaluate(batch)
    watch = Watch(parameters)
    metrics = player.read(watch.run(player.objective, batch))
    report = watch.report(metrics["loss"])
    blocked = [report.blocked[name] for name in unreached(metrics["loss"], parameters, report)]
    if blocked:
        raise NotDifferentiableError(refusal(player, blocked, len(parameters)), report)
    return player.with_gradient(metrics)


def unreached(loss: Float[Tensor, ""], parameters: dict[str, nn.Parameter], report: Report) -> list[str]:
    """The parameters among those that the report calls blocked whose gradient is absent or zero."""
    named = {name: parameters[name] for name in report.blocked}
    if not named or not loss.requires_grad:
        return list(named)
    gradients = torch.autograd.grad(loss, list(named.values()), retain_graph=True, allow_unused=True)
    return [name for name, gradient in zip(named, gradients, strict=True) if gradient is None or not gradient.any()]


def refusal(player: Player, blocked: list[Finding], n: int) -> str:
    """Why the player is not trained, and how it would be all the same."""
    which = "any of its parameters" if len(blocked) == n else f"{len(blocked)} of its {n} parameters"
    idle = any(finding.code == "UNUSED" for finding in blocked)
    turn = "If some only wait for their turn (idle experts, dropped layers), train with " if idle else "Not to look: "
    return "\n\n".join(
        [
            f"Player {player.name!r} cannot learn as it stands: its first loss has no gradient for {which}. "
            f"{turn}fit(..., check=False).",
            *blocks(blocked),
        ]
    )


def in_sight(model: nn.Module) -> bool:
    """Whether the operations of the model can be seen: those of compiled code cannot."""
    return not any(
        hasattr(module, "_orig_mod") or isinstance(module, torch.jit.ScriptModule) for module in model.modules()
    )
