"""Small real data: digits shipped in the package, and readers of well-known file formats."""

from rushlight.datasets import idx
from rushlight.datasets.digits import digits

__all__ = ["digits", "idx"]
