"""Torchstone: data."""
