"""The forward of an operation on arrays: in the dtype that the operands promote to, laid out as
PyTorch lays its results out, and with an error that names the shapes if it fails.

Half precision is computed as float32 and rounded once.
"""

from typing import Any

import numpy as np
from numpy import ndarray

import rushlight.dtype as dtypes
from rushlight import float8, late
from rushlight.backend import native
from rushlight.backend import numpy as xp
from rushlight.dtype import COMPLEX_HALF, OF
from rushlight.errors import DtypeError, ShapeError, UnsupportedDtypeError
from rushlight.ops.core.promotion import as_in_half
from rushlight.strides import (
    by_columns,
    channels_order,
    converted_strides,
    in_order,
    is_odd,
    laid,
    preserved,
    result_order,
    visited,
)
from rushlight.tensor import Tensor

__all__ = ["arranged", "compute", "explain", "keeps_floats", "looks", "owned"]

_f4 = np.dtype("f4")
_f8 = np.dtype("f8")
#: The dtypes whose numbers are computed as float32, or as complex64, and then rounded. Numbers of 8
#: bits are refused then.
_HALF = (dtypes.float16.numpy, dtypes.bfloat16.numpy, *float8.KINDS, *COMPLEX_HALF)
_FULL = (_f4, np.dtype("i8"), _f8)
_WIDE = dict.fromkeys(_HALF, _f4) | dict.fromkeys(COMPLEX_HALF, np.dtype("c8"))


def compute(op, inputs, params, xp=xp):
    """Run the forward of ``op`` on raw ``inputs`` by the rules of its kind; gives arrays."""
    if op.arranges:
        for a in inputs:
            if type(a) is ndarray and (not a.flags.c_contiguous or (1 in a.shape and is_odd(a))):
                return _arranged(op, inputs, params, xp)
    return arranged(op, inputs, _computed(op, inputs, params, xp))


late.compute = compute


def arranged(op, inputs, result):
    """What the forward gave for ``inputs``, copied if results of ``op`` lie otherwise in memory."""
    if op.keeps_order:
        return result
    if type(result) is tuple:
        columns = op.columns
        return tuple([by_columns(r) if i in columns else in_order(r) for i, r in enumerate(result)])
    if op.in_order:
        return in_order(result)
    if op.columns:
        return by_columns(result)
    order = channels_order(inputs[: op.channels], op.lines, op.by_contents)
    return in_order(result) if order is None else laid(result, order)


def _arranged(op, inputs, params, xp):
    """The result of an elementwise operation, with its dims in memory in PyTorch's order.

    PyTorch converts the operands to one dtype before it looks at their strides.
    """
    found = None
    try:
        common = inputs[0].dtype if op.dtype is None else op.dtype(inputs).numpy
        own = [part for look in looks(op, inputs, common) for part in look]
        others = any(
            type(a) is ndarray for i, a in enumerate(inputs) if i not in _deciding(op, inputs)
        )
        found = result_order(common.itemsize, *own, like=op.keeps_order == "like", others=others)
    except (DtypeError, ValueError):
        pass  # _computed raises the error again, with the operation's name
    if found is None:
        return _computed(op, inputs, params, xp)
    return visited(lambda *turned: _computed(op, turned, params, xp), inputs, found)


def _deciding(op, inputs):
    """The indices of the operands that decide the order of dims of an elementwise result."""
    return op.keeps_order if type(op.keeps_order) is tuple else range(len(inputs))


def looks(op, inputs, common):
    """The (shape, strides) of the operands that decide the order of the result's dims.

    The strides are those of the operands after conversion to the dtype ``common``. A condition is
    not converted; its strides count elements of that size, too, so that strides can be compared.
    """
    found = []
    for i in _deciding(op, inputs):
        x = inputs[i]
        if hasattr(x, "strides"):
            if i in op.conditions:
                strides = tuple([s // x.itemsize * common.itemsize for s in x.strides])
            else:
                strides = converted_strides(x, common)
            found.append((x.shape, strides))
        elif op.inputs[i] not in op.optional:  # a number counts as an operand without dims
            found.append(((), ()))
    return found


def _computed(op, inputs, params, xp):
    if op.check is not None:
        op.check(*inputs, **params)
    if op.least is not None and not xp.dry:
        found = native.compute(op, inputs, params)
        if found is not None:
            return found
    if op.kind == "elementwise":
        x = inputs[0]
        if op.halves and type(x) is ndarray and x.size >= native.LEAST_CAST and not xp.dry:
            found = native.of_halves(op, inputs, params)
            if found is not None:
                return found
        inputs, final = _promoted(op, inputs)
    else:
        if op.kind == "reduction" and op.halves and inputs[0].dtype in _HALF:
            found = op.halves(*inputs, **params)
            if found is not None:
                return found
        inputs, final = _widened(op, inputs) if op.widen else (inputs, None)
    try:
        result = op.forward(xp, *inputs, **params)
    except (ValueError, TypeError, IndexError) as error:
        explain(op, inputs, params, error)
        raise
    if type(result) is ndarray:
        if final is not None and result.dtype.kind in "fc":
            return _rounded_to(op, result, final)
        if result.dtype is _f8 and op.kind == "elementwise" and _is_single(inputs):
            return result.astype(_f4)  # NumPy's function of a Python number is a double
        if op.shares or not inputs:
            return result
        fresh = result.base is None and result is not inputs[0] and result is not inputs[-1]
        return result if fresh and not op.variadic else owned(op, result, inputs)
    if type(result) is tuple:
        results = [_final(op, np.asarray(r), final) for r in result]
        return tuple(results if op.shares else [owned(op, r, inputs) for r in results])
    return _final(op, np.asarray(result), final)


def _is_single(inputs):
    """Whether an operand is of float32."""
    return any(type(a) is ndarray and a.dtype is _f4 for a in inputs)


def owned(op, result, inputs):
    """``result`` in writable memory of its own, because only views may share their input's."""
    if result.base is None:
        for a in inputs[0] if op.variadic else inputs:
            if result is a:
                return result.copy(order="K")
        return result
    if not result.flags.writeable:
        return result.copy(order="K")
    for a in inputs[0] if op.variadic else inputs:
        if type(a) is ndarray and np.may_share_memory(result, a):
            return result.copy(order="K")
    return result


def _final(op, array, final):
    same = final is None or array.dtype.kind not in "fc" or array.dtype.itemsize > 8
    return array if same else _rounded_to(op, array, final)


def _rounded_to(op, result, final):
    """The real or complex ``result`` in the precision of ``final``."""
    if final in float8.KINDS:
        if op.eight_bits and result.dtype.kind == "f":
            return float8.narrowed(result, final)
        raise UnsupportedDtypeError(
            f'"{op.name}" not implemented for {OF[final]}, which only stores numbers; convert with '
            ".float()"
        )
    if (result.dtype.kind == "c") is not (final in COMPLEX_HALF):
        d = OF[final]
        final = (d.to_real() if d.is_complex else d.to_complex()).numpy
    return result.astype(final) if result.size < native.LEAST_CAST else preserved(result, final)


def keeps_floats(op):
    """Whether ``op`` computes in float32 if all operands have it, and likewise in float64."""
    if op.keeps_floats is None:
        n = len(op.inputs)
        try:
            op.keeps_floats = all(op.dtype([np.ones(1, d)] * n).numpy is d for d in (_f4, _f8))
        except DtypeError:
            op.keeps_floats = False
    return op.keeps_floats


def _of_one_float(inputs):
    """Whether all arrays are float32, or all float64, and the other operands Python numbers."""
    common = None
    for a in inputs:
        if type(a) is ndarray:
            if common is None:
                common = a.dtype
            elif a.dtype is not common:
                return False
        elif a is not None and type(a) is not float and type(a) is not int:
            return False
    return common is _f4 or common is _f8


def _promoted(op, inputs):
    """(operands, final): the operands in the dtype in which the elementwise ``op`` computes.

    ``final`` is the result's dtype if the computation has another dtype, else None.
    """
    if keeps_floats(op) and _of_one_float(inputs):
        return inputs, None
    try:
        common = op.dtype(inputs)
    except DtypeError as error:
        raise type(error)(f"{op.name}: {error}") from None
    target = common.numpy
    if target in _HALF:
        return _in_half(op, inputs, target), target
    out: list[Any] = []
    for a in inputs:
        if type(a) is ndarray:
            as_it_is = a.dtype is target or len(out) in op.conditions
            out.append(a if as_it_is else preserved(a, target))
        elif a is None:
            out.append(None)
        elif common.category < 2 or isinstance(a, np.generic):
            out.append(np.asarray(a).astype(target)[()])
        else:
            out.append(int(a) if a is True or a is False else a)  # NumPy's log(True) is float16
    return out, None


def _in_half(op, inputs, half):
    """The operands in the wide dtype, after rounding to ``half``; see ``Op.exact``."""
    out: list[Any] = []
    for i, a in enumerate(inputs):
        if i in op.conditions:
            out.append(a)
            continue
        if getattr(a, "dtype", None) is not half and not op.is_exact(i, a):
            a = _rounded(a, half)
        out.append(preserved(a, _WIDE[half]) if type(a) is ndarray else a)
    return out


def _rounded(a, half):
    """An array or a number in half precision; values that are too large become infinite."""
    if type(a) is not ndarray:
        return as_in_half(a, half)
    with np.errstate(over="ignore"):
        if a.dtype is _f8:
            a = preserved(a, _f4)  # rounded twice, as in PyTorch
        return preserved(a, half)


def _widened(op, inputs):
    """(inputs, final): half-precision arrays as float32, and the dtype to round the result to."""
    for a in inputs:
        # To compare dtypes takes longer than to see that two are the same.
        if type(a) is list or (type(a) is ndarray and a.dtype not in _FULL):
            break
    else:
        return inputs, None
    final = None
    out = []
    for a in inputs:
        if type(a) is ndarray and a.dtype in _HALF:
            final = a.dtype
            a = preserved(a, _WIDE[final])
        elif type(a) is list and a and a[0].dtype in _HALF:
            final = a[0].dtype
            a = [preserved(item, _WIDE[final]) for item in a]
        out.append(a)
    return out, final


def explain(op, inputs, params, error):
    """Raise a better error for the failed forward, one that names the operands' shapes.

    Returns if the caller should raise ``error`` itself: a source has no shapes, and an operation
    with ``raises`` raised the right error.
    """
    if op.kind == "source" or op.raises:
        return
    if op.explain is not None:
        op.explain(*inputs, **params)
    if op.kind == "elementwise" or type(op.keeps_order) is tuple:  # the operands broadcast
        from rushlight import shapes

        name = op.name.removesuffix("_number")
        shapes.broadcast(name, *[np.shape(a) for a in inputs if a is not None])
    if type(error) is TypeError or (
        isinstance(error, TypeError) and any(isinstance(p, (str, Tensor)) for p in params.values())
    ):
        raise TypeError(f"{op.name}(): {error}") from error
    if isinstance(error, (ValueError, TypeError)):
        given = ", ".join(
            f"{n} {tuple(a.shape)}"
            for n, a in zip(op.inputs, inputs, strict=False)
            if hasattr(a, "shape")
        )
        raise ShapeError(f"{op.name}: {error} ({given})") from error
