"""Claims about the comparison of representations."""
