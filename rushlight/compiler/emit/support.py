"""Which equations the code generator has kernels for; the others are calls of NumPy forwards."""

import numpy as np

from rushlight.compiler.affine import strides_of
from rushlight.dtype import bfloat16, float16

__all__ = ["contraction", "dtype", "elementwise", "gather", "patch"]

_KINDS = "biuf"
_CONTRACTIONS = {
    "mm", "bmm", "convolution", "convolution_input_grad", "convolution_weight_grad",
}  # fmt: skip


def dtype(d):
    """Whether kernels compute with ``d``."""
    return d.kind in _KINDS or d in (float16.numpy, bfloat16.numpy)


def elementwise(e):
    from rushlight.compiler.emit.elementwise import supported

    return supported(e.op, e.ins, e.params)


def gather(e):
    return e.ins[0].ndim > 0 and e.ins[1].dtype == np.int64


def patch(e):
    base = e.ins[0]
    strides = tuple([s * base.itemsize for s in strides_of(base.shape)])
    return tuple(e.params["strides"]) == strides and base.dtype == e.ins[1].dtype


def _floating(d):
    return d.kind == "f" or d in (float16.numpy, bfloat16.numpy)


def contraction(e):
    return e.op.name in _CONTRACTIONS and _floating(e.ins[0].dtype) and e.ins[0].dtype == e.ins[1].dtype
