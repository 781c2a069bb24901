"""Results of elementwise operations, computed in the memory of the tensor that takes them.

An in-place method on a large tensor would take three times as long if it computed a new array and
copied it. So it gives its operation a ``Destination`` as ``out``. A composite hands the destination
on to its last operation, which fills it if it can. If not, the operation returns its result as
always, and the method copies it.
"""

from functools import cache
from operator import is_

import numpy as np
from numpy import ndarray
from numpy.lib.mixins import NDArrayOperatorsMixin

from rushlight import late
from rushlight.autograd import mode
from rushlight.autograd.tape import refresh
from rushlight.autograd.write import check_inference, stamp, tracked
from rushlight.backend import native
from rushlight.backend.sizes import large_from
from rushlight.device_array import DeviceArray
from rushlight.ops.core.compute import keeps_floats
from rushlight.ops.core.fast_path import FLOATS
from rushlight.tensor import Tensor

__all__ = ["Destination", "took"]

#: From so many elements on the memory of an array is too large to be read twice.
LEAST = large_from(1 << 16)


class Destination:
    """The memory of the tensor ``x``, for the result of an operation on ``x`` and others.

    Attributes:
        x: The tensor. After ``fill`` it is for the caller to mark it as written.
    """

    __slots__ = ("x",)

    def __init__(self, x):
        self.x = x

    @staticmethod
    def suits(x, others):
        """Whether a result for the tensor ``x``, computed from ``others`` too, may have one."""
        a = x._array
        if type(a) is DeviceArray:  # a second kernel would copy the result
            if mode.intercept > mode.metas or 0 in a.strides or not a.size:
                return False
            return a.dtype.kind in "biuf" and not tracked(x, others)
        if a.size < LEAST or mode.intercept > mode.metas or type(a) is not ndarray:
            return False
        if a.dtype not in FLOATS or type(x) is not Tensor or tracked(x, others):
            return False
        return a.flags.c_contiguous and a.flags.writeable

    def fill(self, op, operands, params):
        """Compute ``op`` in the memory of x; False if that cannot be done: nothing was written."""
        if op.kind != "elementwise" or op.check is not None:
            return False
        if type(self.x._array) is DeviceArray:
            return self._fill_far(op, operands, params)
        if not keeps_floats(op):
            return False
        out, arrays = self.x._array, []
        for i, y in enumerate(operands):
            if type(y) is Tensor:
                if y.view_of is not None:
                    refresh(y)
                arrays.append(y._array)
                if not _fits(y._array, out):
                    return False
            elif _is_number(y, op.inputs[i], op) or (y is None and op.into is not None):
                arrays.append(y)
            else:
                return False
        if op.prepare is not None:
            params = op.prepare(*arrays, **params)
        if op.least is not None:
            if out.size < op.least:
                return False
            try:
                return native.compute(op, tuple(arrays), params, [out]) is not None
            except BaseException:  # an interrupt: a part may be written
                stamp(self.x)
                raise
        if op.into is not None:
            op.into(out, *arrays)
            return True
        loop = _loop(op)
        if loop is None or params:
            return False
        try:
            loop(*[np.asarray(a, out.dtype) for a in arrays], out=out)
        except OverflowError:  # of a number
            return False
        return True

    def _fill_far(self, op, operands, params):
        """``fill`` in the memory of a device."""
        arrays: list = []
        for i, y in enumerate(operands):
            if isinstance(y, Tensor):
                if y.view_of is not None:
                    refresh(y)
                arrays.append(y._array)
                if type(y._array) is not DeviceArray:
                    return False
            elif y is None or _is_number(y, op.inputs[i], op):
                arrays.append(y)
            else:
                return False
        if op.prepare is not None:
            params = op.prepare(*arrays, **params)
        return late.remote_calls().compute_into(op, arrays, params, self.x._array)


def took(out, op, operands, params):
    """Whether ``out``, a destination or a tensor, holds the result of ``op`` in its memory now."""
    if type(out) is Destination:
        return out.fill(op, operands, params)
    if not isinstance(out, Tensor) or not Destination.suits(out, operands):
        return False
    if not any(isinstance(y, Tensor) and y.shape == out.shape for y in operands):
        return False  # the result has another shape
    check_inference(out, op.name)
    done = Destination(out).fill(op, operands, params)
    if done:
        stamp(out)
    return done


def _is_number(y, name, op):
    """Whether ``y`` is a number that the operand ``name`` may be."""
    return type(y) in (float, int) and name not in op.tensors


def _fits(a, out):
    """Whether the operand ``a`` can be read while its results are written to ``out``."""
    if type(a) is not ndarray or a.dtype is not out.dtype or not a.flags.c_contiguous:
        return False
    if a.shape == out.shape and a.ctypes.data == out.ctypes.data:
        return True
    return (a.shape == out.shape or not a.ndim) and not np.may_share_memory(a, out)


class _Recorded(NDArrayOperatorsMixin):
    """Stands for an array and notes the functions of NumPy that are applied to it."""

    def __init__(self, calls):
        self.calls = calls

    def __array_ufunc__(self, loop, method, *inputs, **named):
        found = _Recorded(self.calls)
        self.calls.append((loop, method, inputs, named, found))
        return found


@cache
def _loop(op):
    """The function of NumPy whose result on the operands is that of ``op``; None: there is none.

    Its result on floats has their dtype.
    """
    calls: list = []
    operands = [_Recorded(calls) for _ in op.inputs]
    try:
        result = op.forward(np, *operands)
        ((loop, method, inputs, named, found),) = calls
        same = len(inputs) == len(operands) and all(map(is_, inputs, operands))
        same = same and method == "__call__" and not named and found is result
        dtypes = [loop.resolve_dtypes((*[d] * loop.nin, None))[-1] for d in FLOATS]
    except Exception:  # it does more than that
        return None
    return loop if same and tuple(dtypes) == FLOATS else None
