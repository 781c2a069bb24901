"""The role of each equation in planning; its operation states the role as ``primitive``.

=============  ===================================================================================
``constant``   A number or an arange: it needs no memory.
``view``       The elements of another value, addressed by another offset and other strides.
``copy``       The same elements, maybe in another dtype: planned as a pointwise equation.
``pointwise``  Each element is computed from the elements at the same place, by the op's forward.
``reduction``  Elements combined over dims by ``add``, ``mul``, ``max``, ``min``, ``or`` or ``and``.
``scan``       A running reduction: each element combines the elements up to its place in a dim.
``extremum``   The position of the largest (``max``) or smallest (``min``) element of a dim.
``gather``     Reads elements by indices along a dim; ``scatter`` writes, adds or joins
               elements there.
``patch``      A copy of a value, with one part replaced by another value.
``padding``    The elements of another value where they exist, and a number around them.
contractions   ``product`` of matrices; ``convolution``, ``pooling``, ``attention`` and
               ``sorting`` in the forms for which the emitters of these names have code.
=============  ===================================================================================

A view whose result depends on how its operand lies in memory states ``memory``. An operation
becomes a ``call`` of its NumPy forward if it has no primitive, or if no kernel serves its operands.
"""

import numpy as np

from rushlight.compiler.ir.abstract import HALF
from rushlight.compiler.ir.affine import path_map, strides_of
from rushlight.compiler.ir.machine import machine

__all__ = ["CONTRACTIONS", "attention", "dtype", "joins", "role"]

_KINDS = "biuf"
CONTRACTIONS = {"product", "convolution", "pooling", "attention", "sorting"}


def dtype(d):
    """Whether kernels compute with ``d``. The kind of one of the dtypes of 8 bits is "f", too."""
    return (d.kind in _KINDS and d.str[1:] != "f1") or d in HALF


def role(e):
    """The role of the equation ``e``: one of those that ``Graph.roles`` lists."""
    found = e.op.role
    fits = _FITS.get(found)
    if e.op.of_storage and e.ins[0].in_order:
        return "view"
    if not found or found in ("memory", "looped") or (fits is not None and not fits(e)):
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
    known = not machine().calls or joins(e) in ("", "add")
    return fits and known and x.dtype == src.dtype


def joins(e):
    """The form of the reduction by which a ``scatter`` joins elements at one place, or ``""``."""
    reduce = e.params["reduce"] or ""
    return "mul" if reduce == "multiply" else reduce


def patch(e):
    base, value = e.ins
    strides = tuple([s * base.itemsize for s in strides_of(base.shape)])
    of_elements = not any(op.role == "memory" for op, *_ in e.params["path"])
    fits = of_elements or tuple(e.params["strides"]) == strides
    fits = fits and 0 not in path_map(base.shape, e.params["path"])[2]
    return fits and base.dtype == getattr(value, "dtype", base.dtype)


def contraction(e):
    return machine().serves(e)


def attention(e):
    """Whether ``e`` is attention or its gradients, and a kernel serves it: it is not lowered."""
    return e.op.role == "attention" and machine().serves(e)


#: role → the condition on an equation's operands. Roles that are not listed have no condition.
_FITS = {
    "pointwise": elementwise, "scan": dimensioned, "extremum": extremum, "gather": gather,
    "scatter": scatter, "patch": patch, **dict.fromkeys(CONTRACTIONS, contraction),
}  # fmt: skip
