"""Torchstone: studies."""
