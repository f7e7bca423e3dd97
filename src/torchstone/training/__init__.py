"""Torchstone: training."""
