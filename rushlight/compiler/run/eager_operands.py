"""How the operands of eager kernels lie: as rows of one length, in C order.

A kernel serves any number of rows. So operands that broadcast are described as rows, and some are
copied so that fewer kernels are needed.
"""

from math import prod

import numpy as np
from numpy import ndarray

from rushlight.compiler.ir import roles
from rushlight.compiler.run.row_functions import ROWS

__all__ = [
    "NARROW", "WIDEST", "elements", "filled", "fits", "in_c_order", "lines", "spread",
    "without_numbers",
]  # fmt: skip

#: A row has at most this many elements; operations with longer rows are left to NumPy.
WIDEST = 1 << 18
#: Up to so many elements of a row NumPy takes long for each row.
NARROW = 64


def elements(values, widest=WIDEST):
    """(rows, shape of each array, shape of the result) for arrays that broadcast.

    Each array may have the shape of the result, only its last dims, all dims but the last, or one
    element. None for other shapes, if two arrays need rows of different lengths, or if a row has
    more elements than ``widest``.
    """
    arrays = [x for x in values if type(x) is ndarray]
    full = max(arrays, key=lambda x: x.size).shape
    size = prod(full)
    try:
        if np.broadcast_shapes(*[x.shape for x in arrays]) != full:  # a column beside a row
            return None
    except ValueError:
        return None  # NumPy raises the error
    inner = 1
    for x in values:
        if type(x) is not ndarray or x.size in (1, size):
            continue
        width = full[-1] if x.shape == (*full[:-1], 1) else x.size
        if inner not in (1, width):
            return None
        inner = width
    if inner > widest or size % inner:
        return None
    rows = size // inner
    whole = (ROWS,) if inner == 1 else (ROWS, inner)
    shapes = []
    for x in values:
        if type(x) is not ndarray:
            continue
        if x.ndim > len(full):  # the result has dims of size 1 more
            return None
        if x.shape == full:
            shapes.append(whole if any(x.strides) else (1,) * len(whole))
        elif x.size == 1 or not any(x.strides):  # an expanded number has memory for one element
            shapes.append((1,) * min(x.ndim, 1))
        elif x.size == size:  # it may lack only leading dims of size 1
            if full != (1,) * (len(full) - x.ndim) + x.shape:
                return None
            shapes.append(whole)
        elif x.shape == (*full[:-1], 1):
            shapes.append((ROWS, 1))
        elif x.shape == (1,) * (x.ndim - _rank(x)) + full[len(full) - _rank(x) :]:
            shapes.append((inner,))
        else:
            return None
    if whole not in shapes:  # the kernel's result would have the shape of a column or a row
        return None
    return rows, shapes, full


def _rank(x):
    """The number of dims of ``x`` without leading ones of size 1."""
    return x.ndim - next((d for d, n in enumerate(x.shape) if n != 1), x.ndim)


def lines(values, dim):
    """As ``elements``, for an operation over one dim of arrays that all have one shape.

    The dims before it are joined to the rows, and the dims after it to one: (rows, dim, rest).
    """
    full = next(x for x in values if type(x) is ndarray).shape
    if len(dim) != 1:
        return None
    (dim,) = dim
    rows, inner = prod(full[:dim]), full[dim:]
    if rows < 2 or prod(inner) > WIDEST:
        return None
    whole = (ROWS, inner[0], *([prod(inner[1:])] if inner[1:] else []))
    shapes = []
    for x in values:
        if type(x) is ndarray:
            if x.shape != full:
                return None
            shapes.append(whole if any(x.strides) else (1,) * len(whole))
    return rows, shapes, full


def fits(x):
    """Whether a kernel can read the array ``x``."""
    plain = x.flags.c_contiguous or not any(x.strides)
    return plain and x.flags.aligned and x.dtype.isnative and roles.dtype(x.dtype)


def in_c_order(x, fixed):
    """``x`` as a program for its shape expects it; if it is not ``fixed``, x may be unfit.

    A copy is less work than such an operation. An expanded number, such as the gradient of a sum,
    is always copied. If ``reshape`` makes no copy, it gives dims of size 1 their usual strides.
    """
    if not x.flags.c_contiguous:
        if not fixed and any(x.strides):
            return x
        x = x.copy()
    return x.reshape(-1).reshape(x.shape)


def filled(inputs):
    """``inputs`` with whole arrays instead of those that are repeated along wide rows.

    The kernel for arrays of one shape serves all widths, and a copy takes little time beside it.
    A column beside a row has no other kernel.
    """
    arrays = [x for x in inputs if type(x) is ndarray and x.size > 1]
    try:
        full = np.broadcast_shapes(*[x.shape for x in arrays])
    except ValueError:
        return inputs  # NumPy raises the error
    whole = [x.shape == full for x in arrays]
    if all(whole) or (any(whole) and full[-1] <= NARROW):
        return inputs
    return [
        np.ascontiguousarray(np.broadcast_to(x, full)) if any(x is a for a in arrays) else x
        for x in inputs
    ]


def without_numbers(inputs):
    """``inputs`` with arrays in place of Python numbers, so that one kernel serves all numbers.

    A number whose dtype the arrays leave open stays, and becomes a constant of its kernel.
    """
    for x in inputs:
        if type(x) is not ndarray and x is not None:
            break
    else:
        return inputs
    known = {x.dtype for x in inputs if type(x) is ndarray and x.dtype != bool}
    if len(known) != 1:
        return inputs
    (dtype,) = known
    if dtype.kind not in "iuf" or dtype.itemsize < (4 if dtype.kind == "f" else 1):
        return inputs
    types = (int, float) if dtype.kind == "f" else (int,)
    try:
        return tuple([np.asarray(x, dtype) if type(x) in types else x for x in inputs])
    except OverflowError:
        return inputs


def spread(inputs):
    """``inputs`` copied to the shape of the result, if they are arrays of one dtype."""
    arrays = [x for x in inputs if type(x) is ndarray]
    shapes, dtypes = {x.shape for x in arrays}, {x.dtype for x in arrays}
    if len(arrays) < len(inputs) or len(shapes) == 1 or len(dtypes) > 1:
        return inputs
    try:
        return [np.ascontiguousarray(x) for x in np.broadcast_arrays(*inputs)]
    except ValueError:
        return inputs  # NumPy raises the error
