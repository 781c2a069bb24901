"""The short way of a call on plain operands without history, in the default mode.

It does what ``dispatch.apply`` does, without the steps that plain operands do not need: no modes,
no conversion of dtypes, no node.
"""

from functools import lru_cache

import numpy as np
from numpy import ndarray

from rushlight.autograd import mode
from rushlight.autograd.tape import look, refresh
from rushlight.backend import numpy as xp
from rushlight.errors import DtypeError
from rushlight.ops.core.compute import arranged, explain, keeps_floats, owned
from rushlight.tensor import Tensor, from_array

__all__ = ["direct"]

_F4, _F8 = np.dtype("f4"), np.dtype("f8")
#: The dtypes in which a kernel computes without a conversion; half precision is computed in others.
_FULL = (_F4, np.dtype("i8"), _F8, np.dtype("?"), *map(np.dtype, ("c8", "c16", "i4", "u1")))


def direct(op):
    """A function that runs ``op`` on plain operands; None if operations of this kind have none.

    It takes the operands and the bound parameters of a call. It returns None if an operand is not
    plain, and if there is enough work for a compiled kernel: ``dispatch.apply`` then takes the
    call.
    """
    of_elements = op.kind == "elementwise"
    if op.variadic or op.shares:
        return None
    forward, prepare, check, least = op.forward, op.prepare, op.check, op.least
    in_order = op.in_order
    plain = _of_one_dtype if of_elements else _in_full

    def call(args, params):
        arrays = plain(op, args)
        if arrays is None:
            return None
        if prepare is not None:
            params = prepare(*arrays, **params)
        if check is not None:
            check(*arrays, **params)
        if least is not None:
            for a in arrays:
                if type(a) is ndarray and a.size >= least:
                    return None
        try:
            result = forward(xp, *arrays, **params)
        except (ValueError, TypeError, IndexError) as error:
            explain(op, arrays, params, error)
            raise
        if type(result) is tuple:
            return _several(op, arrays, result)
        if type(result) is not ndarray:
            result = np.asarray(result)
        if not arrays:
            return from_array(result)
        if result.base is not None or result is arrays[0] or result is arrays[-1]:
            result = owned(op, result, arrays)
        if not of_elements:
            if not (in_order and result.flags.c_contiguous and 1 not in result.shape):
                result = arranged(op, arrays, result)
        elif result.dtype is _F8 and arrays[0].dtype is _F4:
            result = result.astype(_F4)  # NumPy's function of a Python number is a double
        o = from_array(result)
        if in_order:
            o.turned = None
        return o

    return call


def _several(op, arrays, results):
    """The tensors over several ``results`` of the forward."""
    found, ready = [], op.in_order
    for r in results:
        if type(r) is not ndarray:
            r = np.asarray(r)
        elif r.base is not None or r is arrays[0] or r is arrays[-1]:
            r = owned(op, r, arrays)
        ready = ready and r.flags.c_contiguous and 1 not in r.shape
        found.append(r)
    if not ready:
        found = arranged(op, arrays, tuple(found))
    return tuple([from_array(r) for r in found])


def _in_full(op, args):
    """The arrays of tensors in full precision without history, else None.

    If the operands' layout decides the result's, they lie in memory in the order of their dims. An
    optional operand after the first one may be None.
    """
    arrays = []
    for x in args:
        if type(x) is Tensor:
            if x.view_of is not None:
                refresh(x)
            if x.node is not None and (not mode.grad_off or mode.state.grad):
                return None
            a = x._array
            if a.dtype not in _FULL:
                return None
            if op.arranges and not _lies_in_order(x):
                return None
            arrays.append(a)
        elif x is None and arrays and op.inputs[len(arrays)] in op.optional:
            arrays.append(None)
        else:
            return None
    return arrays


def _lies_in_order(x):
    return not x.turned or (not look(x) and x._array.flags.c_contiguous)


def _of_one_dtype(op, args):
    """The operands of an elementwise operation if they are plain, else None.

    They are tensors of one dtype that lie in memory in the order of their dims. Python numbers may
    follow tensors of float32 or float64.
    """
    arrays: list = []
    common = None
    for x in args:
        kind = type(x)
        if kind is Tensor:
            in_order = not x.turned or _lies_in_order(x)
            if not in_order or (x.node is not None and (not mode.grad_off or mode.state.grad)):
                return None
            a = x._array
            if a.dtype is not common:
                if common is not None or not _keeps(op, a.dtype):
                    return None
                common = a.dtype
            arrays.append(a)
        elif (common is not _F4 and common is not _F8) or op.tensors:
            return None
        elif kind is float or kind is int:
            arrays.append(x)
        else:
            return None
    return arrays


@lru_cache(4096)
def _keeps(op, dtype):
    """Whether ``op`` computes in ``dtype`` if all its operands have it."""
    if dtype not in _FULL:
        return False
    if dtype in (_F4, _F8):
        return keeps_floats(op)
    try:
        return not op.conditions and op.dtype([np.ones(1, dtype)] * len(op.inputs)).numpy is dtype
    except DtypeError:
        return False
