"""Claims about learning representations without labels."""
