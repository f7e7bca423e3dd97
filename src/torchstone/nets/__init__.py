"""Architectures that more than one family uses."""

from torchstone.nets.conv4 import Conv4
from torchstone.nets.drop_block import DropBlock, drop_block
from torchstone.nets.nin import NIN
from torchstone.nets.plain import TINY_10, PlainNet, Row, plain, plain_table, tiny10, width_n
from torchstone.nets.resnet12 import ResNet12
from torchstone.nets.seeded import seeded

__all__ = [
    "NIN",
    "TINY_10",
    "Conv4",
    "DropBlock",
    "PlainNet",
    "ResNet12",
    "Row",
    "drop_block",
    "plain",
    "plain_table",
    "seeded",
    "tiny10",
    "width_n",
]
