"""The role of each equation to the planner, by what its operation states as ``primitive``.

=============  ===================================================================================
``constant``   A number or an arange: it lies nowhere.
``view``       The elements of another value, counted otherwise.
``copy``       The same elements, maybe in another dtype: a pointwise equation.
``pointwise``  Each element from those at the same place, by the operation's own forward.
``reduction``  Elements combined over dims by ``add``, ``mul``, ``max``, ``min``, ``or`` or ``and``.
``scan``       Likewise, up to each place of a dim.
``extremum``   Where the largest (``max``) or smallest (``min``) element of a dim is.
``gather``     Elements by indices along a dim; ``scatter`` writes or adds them there.
``patch``      A copy with a value in a part of it.
contractions   ``product`` of matrices; ``convolution``, ``pooling`` and ``attention`` in the forms
               that the emitters of these names have.
=============  ===================================================================================

A view that looks at memory rather than at elements says ``memory``. What has no primitive, or none
for such operands, is a ``call`` of its NumPy forward.
"""

import numpy as np

from rushlight.compiler.ir.abstract import HALF
from rushlight.compiler.ir.affine import strides_of
from rushlight.compiler.ir.machine import machine

__all__ = ["CONTRACTIONS", "attention", "dtype", "role"]

_KINDS = "biuf"
CONTRACTIONS = {"product", "convolution", "pooling", "attention"}
#: Queries and keys from which attention has kernels of its own: fewer leave lanes idle.
_FEW = 32


def dtype(d):
    """Whether kernels compute with ``d``."""
    return d.kind in _KINDS or d in HALF


def role(e):
    """What the code generator takes an equation for: one of the roles of ``Graph``."""
    found = e.op.role
    fits = _FITS.get(found)
    if e.op.of_storage and e.ins[0].in_order:
        return "view"
    if not found or found == "memory" or (fits is not None and not fits(e)):
        return "call"
    return "contraction" if found in CONTRACTIONS else "pointwise" if found == "copy" else found


def elementwise(e):
    return machine().price(e.op, e.ins, e.params) is not None


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
    of_elements = not any(op.role == "memory" for op, *_ in e.params["path"])
    fits = of_elements or tuple(e.params["strides"]) == strides
    return fits and base.dtype == getattr(value, "dtype", base.dtype)


def _floating(d):
    return d.kind == "f" or d in HALF


def attention(e):
    """Whether attention, or its gradients, has a kernel, faster than what it is made of."""
    if e.op.role != "attention":
        return False
    ins = [v for v in e.ins if v is not None]
    query, key, value = ins[1:4] if e.op.form == "grad" else ins[:3]
    noise = len(e.ins) == len(e.op.inputs) and e.ins[-1] is not None
    if noise or not all(v.size and _floating(v.dtype) for v in (query, key, value)):
        return False
    batch = query.shape[:-2]
    alike = key.shape[:-2] == value.shape[:-2] == e.outs[0].shape[:-2] == batch
    enough = min(query.shape[-2], key.shape[-2]) >= _FEW
    return alike and ins[-1].ndim <= query.ndim and enough


def alike(e):
    """Whether all operands are of one floating dtype."""
    return _floating(e.ins[0].dtype) and len({v.dtype for v in e.ins if v is not None}) == 1


#: What operands have to be, by the operation's role; others are served whatever they are.
_FITS = {
    "pointwise": elementwise, "scan": dimensioned, "extremum": extremum, "gather": gather,
    "scatter": scatter, "patch": patch, "product": alike, "convolution": alike, "pooling": alike,
    "attention": attention,
}  # fmt: skip
