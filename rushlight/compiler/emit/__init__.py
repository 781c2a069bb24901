"""From kernels to machine code."""
