"""Tools for tests: random tensors of any kind, and a comparison that says how results differ."""

from rushlight.testing.comparison import assert_allclose, assert_close
from rushlight.testing.creation import make_tensor

__all__ = ["assert_allclose", "assert_close", "make_tensor"]
