"""The class of jagged tensors, where libraries import it from."""

from rushlight.nested.jagged import NestedTensor

__all__ = ["NestedTensor"]
