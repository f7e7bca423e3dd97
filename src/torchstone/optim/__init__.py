"""First-order optimizers, gradient centralization, online regret, trajectories."""
