"""Bessel functions and orthogonal polynomials, which PyTorch has in ``torch.special`` only."""
