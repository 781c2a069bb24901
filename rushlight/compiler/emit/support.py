"""Which equations the code generator has kernels for; the others are calls of NumPy forwards."""

import numpy as np

from rushlight.compiler.affine import strides_of
from rushlight.dtype import bfloat16, float16

__all__ = ["OF_MEMORY", "SPECIAL", "attention", "contraction", "dtype", "elementwise", "special"]

_KINDS = "biuf"
#: Operations with kernels of their own kinds, and the role of each.
SPECIAL = {
    "gather": "gather", "patch": "patch", "scatter": "scatter", "scatter_add": "scatter",
    "cumsum": "scan", "cumprod": "scan", "argmax": "extremum", "argmin": "extremum",
}  # fmt: skip
_CONTRACTIONS = {
    "mm", "bmm", "convolution", "convolution_input_grad", "convolution_weight_grad",
    "max_pool_positions", "max_pool_backward", "max_pool_pick", "avg_pool_backward",
    "adaptive_avg_pool_backward",
    *[f"{kind}_pool{n}d" for kind in ("max", "avg", "adaptive_avg") for n in (1, 2, 3)],
}  # fmt: skip
#: Views that look at memory rather than at elements.
OF_MEMORY = {"as_strided", "view_dtype", "view_as_real", "view_as_complex", "real", "imag"}
#: Queries and keys from which attention has kernels of its own: fewer leave lanes idle.
_FEW = 32


def dtype(d):
    """Whether kernels compute with ``d``."""
    return d.kind in _KINDS or d in (float16.numpy, bfloat16.numpy)


def elementwise(e):
    from rushlight.compiler.emit.elementwise import supported

    return supported(e.op, e.ins, e.params)


def special(e):
    """The role of an equation whose operation is one of a few; ``call`` where it has no kernel."""
    role = SPECIAL[e.op.name]
    fits = {"gather": gather, "scatter": scatter, "patch": patch, "extremum": extremum}
    return role if fits.get(role, dimensioned)(e) else "call"


def dimensioned(e):
    return e.ins[0].ndim > 0


def extremum(e):
    return e.ins[0].ndim > 0 and e.ins[0].dtype.kind in "iuf"


def gather(e):
    return e.ins[0].ndim > 0 and e.ins[1].dtype == np.int64


def scatter(e):
    x, index, src = e.ins
    fits = x.ndim and index.shape == getattr(src, "shape", None) and index.dtype == np.int64
    return fits and e.params["reduce"] in (None, "add") and x.dtype == src.dtype


def patch(e):
    base, value = e.ins
    strides = tuple([s * base.itemsize for s in strides_of(base.shape)])
    of_elements = not any(op.name in OF_MEMORY for op, *_ in e.params["path"])
    fits = of_elements or tuple(e.params["strides"]) == strides
    return fits and base.dtype == getattr(value, "dtype", base.dtype)


def _floating(d):
    return d.kind == "f" or d in (float16.numpy, bfloat16.numpy)


def attention(e):
    """Whether attention, or its gradients, has a kernel, faster than what it is made of."""
    if not e.op.name.startswith("attention"):
        return False
    ins = [v for v in e.ins if v is not None]
    query, key, value = ins[1:4] if e.op.name == "attention_backward" else ins[:3]
    noise = len(e.ins) == len(e.op.inputs) and e.ins[-1] is not None
    if noise or not all(v.size and _floating(v.dtype) for v in (query, key, value)):
        return False
    batch = query.shape[:-2]
    alike = key.shape[:-2] == value.shape[:-2] == e.outs[0].shape[:-2] == batch
    enough = min(query.shape[-2], key.shape[-2]) >= _FEW
    return alike and ins[-1].ndim <= query.ndim and enough


def contraction(e):
    if e.op.name.startswith("attention"):
        return attention(e)
    return (
        e.op.name in _CONTRACTIONS
        and _floating(e.ins[0].dtype)
        and len({v.dtype for v in e.ins if v is not None}) == 1
    )
