"""Calls of NumPy's ufuncs over matrices and rows: products, ``numpy.linalg`` and ``numpy.fft``."""

import re
from typing import Any

import numpy as np

from rushlight.compiler.replay.objects import loops_of
from rushlight.compiler.replay.tape import Refused

__all__ = ["LINALG", "product", "transformed"]

#: Elements of the operands of a decomposition or transform. Other threads wait during a replay.
_MOST = 1 << 12
_DOUBLE = np.dtype("f8")


def product(tape, ufunc, dtypes, operands, result, out):
    """Note a product: ``matmul`` of matrices, or ``vecdot``."""
    function = loops_of(ufunc, dtypes)
    arrays = [tape.operand(a, d) for a, d in zip(operands, dtypes, strict=False)]
    core = {"matmul": 2, "vecdot": 1}.get(ufunc.__name__)
    if function is None or core is None:
        raise Refused
    target = made = tape.target(result, out)
    if core == 2:  # a vector is a matrix of one row, or of one column
        x, y = arrays
        arrays = [x[None] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y]
        made = made if y.ndim > 1 else made[..., None]
        made = made if x.ndim > 1 else made[..., None, :]
    _append(tape, function, ufunc, arrays, [made])
    return tape.noted(target, tape)


def _append(tape, function, ufunc, arrays, results):
    """Append a loop over the matrices or rows that the signature of ``ufunc`` tells."""
    names = [re.findall(r"\w+", core) for core in re.findall(r"\(.*?\)", ufunc.signature)]
    shape = results[0].shape[: results[0].ndim - len(names[len(arrays)])]
    sizes: dict = {}
    outer: list = []
    inner: list = []
    for a, core in zip([*arrays, *results], names, strict=True):
        own = a.shape[a.ndim - len(core) :]
        for name, n in zip(core, own, strict=True):
            if sizes.setdefault(name, n) != n:
                raise Refused
        strides = np.broadcast_to(a, (*shape, *own)).strides
        outer.append(strides[: len(shape)])
        inner += strides[len(shape) :]
    dims = [*zip(shape, zip(*outer, strict=True), strict=True)]
    counts = [1, *sizes.values()]
    tape.at(function, counts, [*[0] * len(outer), *inner], [*arrays, *results], dims)


def _noted(tape, ufunc, dtypes, operands, out=()):
    """The results of a ufunc that takes arrays with gaps, for operands of ``dtypes``.

    ``out`` has the array for a result whose size the ufunc does not know.
    """
    if ufunc is None:
        raise Refused  # another NumPy
    dtypes = ufunc.resolve_dtypes((*dtypes, *[None] * ufunc.nout))
    function = loops_of(ufunc, dtypes)
    arrays = [tape.operand(a, d) for a, d in zip(operands, dtypes, strict=False)]
    if function is None or sum(a.size for a in arrays) > _MOST:
        raise Refused
    with np.errstate(all="ignore"):
        found = ufunc(*arrays, out=tuple(out) or (None,) * ufunc.nout)
    results = [tape.remember(np.asarray(x)) for x in (found if ufunc.nout > 1 else [found])]
    _append(tape, function, ufunc, arrays, results)
    return [tape.noted(x, tape) for x in results]


# Linear algebra ---------------------------------------------------------------------------


def _computed(name, x, *others):
    """The results of the ufunc ``name`` of ``numpy.linalg`` for matrices.

    NumPy computes them in double precision. Nan stands for an error; it is left to the function
    itself.
    """
    if x.dtype.kind not in "fc" or any(y.ndim < 2 or y.dtype != x.dtype for y in others):
        raise Refused
    umath: Any = np.linalg._umath_linalg
    ufunc, double = getattr(umath, name, None), np.result_type(x.dtype, _DOUBLE)
    found = _noted(x.tape, ufunc, [double] * (1 + len(others)), [x, *others])
    for result in found:
        x.tape.require(~np.isnan(result).any())
    real = x.array.real.dtype
    return [r.astype(x.dtype if r.dtype.kind == "c" else real, copy=False) for r in found]


#: Functions of NumPy → what they do with Noted arrays.
LINALG: dict = {
    np.linalg.cholesky: lambda x: _computed("cholesky_lo", x)[0],
    np.linalg.inv: lambda x: _computed("inv", x)[0],
    np.linalg.solve: lambda x, y: _computed("solve", x, y)[0],
    np.linalg.slogdet: lambda x: _computed("slogdet", x),
    np.linalg.eigh: lambda x, UPLO="L": _computed("eigh_lo" if UPLO == "L" else "eigh_up", x),
}


# Fourier transforms -----------------------------------------------------------------------


def transformed(x, name, n, factor):
    """The transform ``name`` of ``numpy.fft`` along the last dim, multiplied by ``factor``.

    ``n`` is the number of elements of the whole dim, of which real transforms have half.
    """
    real = x.array.real.dtype
    size = n // 2 + 1 if name.startswith("rfft") else n
    made = real if name == "irfft" else np.result_type(real, np.complex64)
    out = np.empty((*x.shape[:-1], size), made)
    umath: Any = np.fft._pocketfft_umath  # type: ignore[attr-defined]
    given = [x if x.flags.c_contiguous else x.copy(), np.array(factor, real)]
    return _noted(x.tape, getattr(umath, name, None), [x.dtype, real], given, [out])[0]
