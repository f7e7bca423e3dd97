"""The claims about few-shot classification."""
