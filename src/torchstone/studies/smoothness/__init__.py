"""Claims about what is known of a program before it is trained."""
