"""Tensors as ``xp``: NumPy's names for forwards that the compiler runs on tensors.

Such a forward has one text for arrays and for tensors (``Op.lower`` without a rule). It passes
``out=`` only for memory that may be reused, and goes on with the function's result: arrays write
into that memory, and tensors give a new value.
"""

from rushlight.tensor import Tensor

__all__ = ["TENSORS"]

#: NumPy's names for methods of Tensor that have another one.
_NAMES = {"divide": "true_divide", "power": "pow"}


class TensorNamespace:
    """The functions that are methods of Tensor in all but their name and ``out``."""

    def __getattr__(self, name):
        method = getattr(Tensor, _NAMES.get(name, name))

        def call(*args, out=None):
            return method(*args)

        call.__name__ = name
        setattr(self, name, call)
        return call

    def asarray(self, x):
        return x

    def where(self, condition, x, y):
        return x.where(condition, y) if isinstance(x, Tensor) else y.where(~condition, x)

    def maximum(self, x, y):
        return x.maximum(y) if isinstance(y, Tensor) else x.clip(y, None)

    def minimum(self, x, y):
        return x.minimum(y) if isinstance(y, Tensor) else x.clip(None, y)


TENSORS = TensorNamespace()
