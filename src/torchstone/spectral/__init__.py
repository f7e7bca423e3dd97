"""The Fourier view of a network."""
