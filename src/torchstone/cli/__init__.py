"""Torchstone: cli."""
