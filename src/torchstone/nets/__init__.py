"""Torchstone: nets."""
