"""Encoders that the commands know by name; each is also a MODULE:FUNCTION of no arguments for any other command."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchstone.nets import NIN, Conv4


def nin() -> "NIN":
    """The paper's network in network, 192 wide, for colour."""
    from torchstone.nets import NIN

    return NIN(seed=0)


def nin_grey() -> "NIN":
    """The same for grey pictures."""
    from torchstone.nets import NIN

    return NIN(channels=1, seed=0)


def conv4() -> "Conv4":
    """Four blocks of 64 channels, for colour."""
    from torchstone.nets import Conv4

    return Conv4(seed=0)


def conv4_grey() -> "Conv4":
    """The same for grey pictures."""
    from torchstone.nets import Conv4

    return Conv4(channels=1, seed=0)


NAMES = ("nin", "conv4")


def spelled_out(name: str, channels: int) -> str:
    """The MODULE:FUNCTION of a name, ``nin`` or ``conv4``; anything else stays as it is.

    >>> spelled_out("nin", 1), spelled_out("my_models:build", 3)
    ('torchstone.cli.encoders:nin_grey', 'my_models:build')
    """
    if name not in NAMES:
        return name
    return f"{__name__}:{name}" + ("_grey" if channels == 1 else "")


KNOWN = frozenset(spelled_out(name, channels) for name in NAMES for channels in (1, 3))
