"""Architectures that more than one family uses."""

from torchstone.nets.plain import TINY_10, PlainNet, Row, plain, plain_table, tiny10, width_n

__all__ = ["TINY_10", "PlainNet", "Row", "plain", "plain_table", "tiny10", "width_n"]
