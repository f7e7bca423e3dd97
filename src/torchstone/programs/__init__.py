"""Differentiable programming: expectations, memories, and holes in ordinary programs."""
