"""Torchstone: similarity."""
