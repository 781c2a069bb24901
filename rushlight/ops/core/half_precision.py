"""Functions made of several operations, of half precision: computed in float32, rounded once."""

from rushlight.dtype import bfloat16, float16
from rushlight.tensor import Tensor

__all__ = ["rounded_once"]

_HALF = (bfloat16, float16)


def rounded_once(compute, *operands):
    """``compute(*operands)``; in float32 where the floating tensors have one half dtype.

    Without this each operation inside would round its result to half precision, and the errors
    would add up. Gradients are computed in float32 as well and rounded once for each operand.
    """
    floats = [t.dtype for t in operands if isinstance(t, Tensor) and t.is_floating_point()]
    if not floats or floats[0] not in _HALF or any(d is not floats[0] for d in floats):
        return compute(*operands)
    wide = [t.float() if isinstance(t, Tensor) and t.is_floating_point() else t for t in operands]
    return compute(*wide).to(floats[0])
