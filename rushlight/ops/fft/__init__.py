"""Discrete Fourier transforms, and the short-time transform of signals."""
