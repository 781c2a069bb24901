"""Half precision in functions made of several operations: compute in float32, round once."""

from rushlight.dtype import bfloat16, float16
from rushlight.tensor import Tensor

__all__ = ["rounded_once"]

_HALF = (bfloat16, float16)


def rounded_once(compute, *operands):
    """``compute(*operands)``, in float32 if all floating tensors have the same half dtype.

    Otherwise each operation inside would round its result to half precision, and the errors would
    add up. Gradients are computed in float32 as well, and rounded once for each operand.
    """
    floats = [t.dtype for t in operands if isinstance(t, Tensor) and t.is_floating_point()]
    if not floats or floats[0] not in _HALF or any(d is not floats[0] for d in floats):
        return compute(*operands)
    wide = [t.float() if isinstance(t, Tensor) and t.is_floating_point() else t for t in operands]
    return compute(*wide).to(floats[0])
