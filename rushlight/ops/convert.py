"""Tensors to and from Python, NumPy and other libraries."""

from rushlight.tensor import method


@method
def numel(self):
    """The number of elements."""
    return self.array.size


@method
def numpy(self, *, force=False):
    """The tensor's memory as a NumPy array, shared both ways."""
    return self.array
