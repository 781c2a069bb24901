"""Products of matrices and vectors, and triangles of matrices."""
