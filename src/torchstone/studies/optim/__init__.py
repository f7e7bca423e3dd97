"""Claims about learning rules."""
