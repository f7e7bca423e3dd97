"""Claims about differentiable programs."""
