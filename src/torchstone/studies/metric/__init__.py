"""The claims about metric learning."""
