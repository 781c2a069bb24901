"""Numbers of 8 bits: what becomes of numbers that a dtype cannot hold."""

import numpy as np

from rushlight.dtype import FLOAT8, float8_e4m3fn, float8_e8m0fnu
from rushlight.strides import preserved

__all__ = ["KINDS", "narrowed"]

#: The NumPy dtypes of 8 bits.
KINDS = tuple([d.numpy for d in FLOAT8])


def narrowed(x, dtype):
    """Return the array ``x``, which is not complex, in the dtype ``dtype`` of 8 bits.

    ``float8_e4m3fn`` has no infinities: larger numbers become its largest one. ``float8_e8m0fnu``
    has powers of two alone, and neither signs nor 0: 0 becomes its smallest number.
    """
    wide = preserved(x, np.float32)
    if dtype is float8_e4m3fn.numpy:
        wide = wide.clip(-448, 448)
    elif dtype is float8_e8m0fnu.numpy:
        wide = np.maximum(np.abs(wide), 2.0**-127)
    return preserved(wide, dtype)
