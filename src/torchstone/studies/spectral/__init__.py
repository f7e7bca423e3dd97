"""Claims about the spectral bias."""
