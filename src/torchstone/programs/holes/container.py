"""The bodies of a program's holes, by name."""

import torch
from torch import Tensor, nn


class Bodies(nn.ModuleDict):
    """The bodies of a program's holes, by name; a hole may be called ``pop`` or ``type`` too.

    >>> from torchstone.programs.holes.choices import Constant
    >>> bodies = Bodies()
    >>> bodies["pop"] = Constant(["no", "yes"])
    >>> list(bodies.state_dict())
    ['pop.logits']
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("empty", torch.empty(0), persistent=False)

    def __setitem__(self, name: str, body: nn.Module) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"The name of a hole must be a string without a dot, but it is {name!r}.")
        if not isinstance(body, nn.Module):
            raise TypeError(f"The body of hole {name!r} must be a module such as Poly(2), but it is {body!r}.")
        self._modules[name] = body

    def like(self) -> Tensor:
        """A tensor of their dtype, on their device."""
        return next(self.parameters(), self.get_buffer("empty"))

    def every(self) -> dict[str, nn.Module]:
        """These, and the bodies of programs among them, such as ``inner.holes.area``."""
        below = {path: bodies for path, bodies in self.named_modules() if isinstance(bodies, Bodies)}
        return {f"{path}.{name}".lstrip("."): body for path, bodies in below.items() for name, body in bodies.items()}
